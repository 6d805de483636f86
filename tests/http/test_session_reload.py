# SPDX-License-Identifier: Apache-2.0
"""A bad reload keeps what worked, and never lets in what did not."""

import os
import re

from client import Jar
from process import wait_until
from session_site import (HERE, Site, nodes_conf, read_secrets, secret_file)

LOCAL = f"SessionHA On\n{HERE}"
SHUT = "no secrets were read before: requests are answered as if no node"


def level(line):
    return re.search(r"\[session_ha:(\w+)\]", line).group(1)


def graceful_with(site, conf):
    """Reload, and be past the children of before."""
    before = site.server.graceful(conf)
    wait_until(lambda: not before & set(site.server.children()), 10,
               "the end of the children of before")


def is_shut(site, cookie):
    """Whether a session is refused and left alone, and none is begun."""
    answer = site.server.get("/cgi-bin/app", headers={"Cookie": cookie})
    assert answer.status == 503 and answer.header("Retry-After")
    assert answer.header("Set-Cookie") is None
    fresh = Jar()
    assert site.set(fresh, a=1).status == 200
    assert list(fresh) == []
    assert "HA0308" in site.log.expect("HA0308")
    return True


def test_memcached_without_its_secrets_is_shut_and_opens_when_they_come(
        httpd, workdir, jar, memcacheds):
    path = secret_file(workdir)
    far = nodes_conf(memcacheds(2), path) + LOCAL
    other = Site(httpd(far, name="other"))
    other.set(jar, a=1)
    cookie = f"HASESSION={jar['HASESSION']}"
    text = read_secrets(path)
    os.unlink(path)
    s = Site(httpd(LOCAL, name="late"))
    # a secret that this host made up is none for the nodes
    graceful_with(s, far)
    assert level(s.log.expect("HA0107")) == "error"
    assert SHUT in s.log.expect("HA0110")
    s.log.allow("HA0304|HA0401")
    assert is_shut(s, cookie)
    s.log.allow("HA0140")
    # and another reload makes it none
    graceful_with(s, far)
    assert SHUT in s.log.expect("HA0110")
    assert is_shut(s, cookie)
    secret_file(workdir)
    with open(path, "w") as f:
        f.write("\n".join(text) + "\n")
    s.log.expect("HA0172", timeout=30)
    assert s.session(jar) == {"a": "1"}
    s.set(jar, b=2)
    assert other.session(jar) == {"a": "1", "b": "2"}
    other.log.allow("HA01[047]")


def test_sessions_that_a_bad_file_comes_with_are_shut(httpd, workdir):
    path = secret_file(workdir, "short")
    s = Site(httpd("", name="plain"))
    for _ in range(2):
        graceful_with(s, f"SessionHASecretFile {path}\n{LOCAL}")
        assert level(s.log.expect("HA0109")) == "error"
        assert SHUT in s.log.expect("HA0110")
        s.log.allow("HA0304|HA0401|HA0171")
        assert is_shut(s, "HASESSION=x")
    secret_file(workdir)
    graceful_with(s, None)
    jar = Jar()
    s.set(jar, a=1)
    assert s.session(jar) == {"a": "1"}


def test_shared_memory_goes_on_with_its_random_secret(httpd, workdir, jar):
    path = secret_file(workdir, mode=0o644)
    s = Site(httpd(LOCAL))
    s.set(jar, a=1)
    graceful_with(s, f"SessionHASecretFile {path}\n{LOCAL}")
    assert level(s.log.expect("HA0108")) == "error"
    assert "the random secret of before stays" in s.log.expect("HA0110")
    s.set(jar, b=2)
    assert s.session(jar) == {"a": "1", "b": "2"}


def test_secrets_that_were_read_before_hold_for_memcached(
        httpd, workdir, jar, memcacheds):
    path = secret_file(workdir)
    s = Site(httpd(f"SessionHASecretFile {path}\n{LOCAL}"))
    with open(path, "w") as f:
        f.write("short\n")
    graceful_with(s, nodes_conf(memcacheds(1), path) + LOCAL)
    s.log.expect("HA0109")
    assert "the secrets read before stay in use" in s.log.expect("HA0110")
    s.set(jar, a=1)
    assert s.session(jar) == {"a": "1"}
