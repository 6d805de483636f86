# SPDX-License-Identifier: Apache-2.0
"""A bad reload keeps what worked, and never lets in what did not."""

import os
import re

from client import Jar
from process import wait_until
from session_site import (HERE, Site, nodes_conf, read_secrets, secret_file)

LOCAL = f"SessionHA On\n{HERE}"
SHUT = "no secrets were read before: requests are answered as if no node"
UNBELIEVED = "no secret is known that this session could be believed by"


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


def test_memcached_without_its_secrets_is_shut_until_they_come(
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
    assert UNBELIEVED in s.log.expect("HA0304")
    # and another reload makes it none
    graceful_with(s, far)
    assert SHUT in s.log.expect("HA0110")
    assert is_shut(s, cookie)
    secret_file(workdir)
    with open(path, "w") as f:
        f.write("\n".join(text) + "\n")
    # it asks for a restart, which knows of earlier nodes what others say
    s.log.expect("HA0175", timeout=30)
    assert is_shut(s, cookie)
    graceful_with(s, far)
    assert s.session(jar) == {"a": "1"}
    s.set(jar, b=2)
    assert other.session(jar) == {"a": "1", "b": "2"}
    assert "HA0140" not in s.log.text + other.log.text


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


def test_secrets_of_a_configuration_before_stand_for_no_other_file(
        httpd, workdir, memcacheds):
    old = secret_file(workdir)
    s = Site(httpd(f"SessionHASecretFile {old}\n{LOCAL}"))
    jar = Jar()
    s.set(jar, a=1)
    graceful_with(s, LOCAL)
    assert s.session(jar) == {"a": "1"}
    new = os.path.join(workdir, "missing")
    graceful_with(s, nodes_conf(memcacheds(1), new) + LOCAL)
    s.log.expect("HA0107")
    assert SHUT in s.log.expect("HA0110")
    s.log.allow("HA0304|HA0401")
    assert is_shut(s, f"HASESSION={jar['HASESSION']}")


def test_a_restart_that_brings_the_secrets_knows_of_earlier_nodes(
        httpd, workdir, jar, memcacheds):
    path = secret_file(workdir)
    nodes = memcacheds(3)
    own = LOCAL + "\nSessionHAReplicas 1"
    other = Site(httpd(nodes_conf(nodes[:1], path) + own, name="other"))
    other.set(jar, a=1)
    graceful_with(other, nodes_conf(nodes[1:], path) + own)
    assert other.session(jar) == {"a": "1"}
    other.log.expect("HA0143")
    os.rename(path, path + ".away")
    s = Site(httpd(LOCAL, name="late"))
    graceful_with(s, nodes_conf(nodes[1:], path) + own)
    s.log.expect("HA0107")
    s.log.expect("HA0110")
    s.log.allow("HA0304|HA0401|HA01[47]")
    os.rename(path + ".away", path)
    s.log.expect("HA0175", timeout=30)
    graceful_with(s, nodes_conf(nodes[1:], path) + own)
    assert s.session(jar) == {"a": "1"}
