# SPDX-License-Identifier: Apache-2.0
"""What administrators see: variables, mod_status, and never a secret."""

import base64
import os
import re

import pytest

from httpd import ROOT
from session_site import (HERE, Site, login, login_conf, nodes_conf,
                          read_secrets, secret_file)

STATUS = "<Location /status>\nSetHandler server-status\n</Location>\n"


def status_of(server):
    text = server.get("/status?auto").text
    return dict(line.split(": ", 1) for line in text.splitlines()
                if line.startswith("SessionHA"))


@pytest.mark.every_mpm
def test_variables_tell_load_copies_and_save(httpd, jar, workdir,
                                             memcacheds):
    nodes = memcacheds(3)
    s = Site(httpd(f"{nodes_conf(nodes, secret_file(workdir))}"
                   f"SessionHA On\n{HERE}"))
    s.told()
    s.set(jar, a=1)
    s.told(jar)
    s.told(headers={"Cookie": "HASESSION=forged"})
    s.set(jar, a="")
    rows = [(e["load"], e["copies"], e["save"])
            for e in s.server.wait_access(5)]
    assert rows == [("none", None, "nothing"), ("none", None, "2/2"),
                    ("hit", "2/2", "unchanged"), ("refused", None, "nothing"),
                    ("hit", "2/2", "2/2")]


def test_variables_are_those_of_the_logged_request(httpd, jar):
    s = Site(httpd(f"SessionHA On\n{HERE}\nErrorDocument 404 /cgi-bin/app\n"))
    s.set(jar, a=1)
    s.server.get("/not-there", jar=jar)
    entry = s.server.wait_access(2)[1]
    assert (entry["load"], entry["save"]) == ("hit", "unchanged")


def test_a_place_without_sessions_sets_no_variable(httpd):
    server = httpd("SessionHA On\n")
    server.get("/")
    entry = server.wait_access(1)[0]
    assert entry["load"] is None and entry["save"] is None


@pytest.mark.every_mpm
def test_mod_status_counts_and_shows_memory(httpd, jar):
    s = Site(httpd(f"SessionHA On\n{HERE}\n{STATUS}"))
    s.set(jar, a=1)
    s.told(jar)
    s.told(headers={"Cookie": "HASESSION=forged"})
    told = status_of(s.server)
    assert told["SessionHAStore"] == "shm"
    assert {k: told["SessionHA" + k] for k in (
        "LoadHit", "LoadMiss", "LoadUnknown", "LoadRefused", "SaveFull",
        "SaveFailed", "Ended", "ShmItems", "ShmDropped")} == {
        "LoadHit": "1", "LoadMiss": "0", "LoadUnknown": "0",
        "LoadRefused": "1", "SaveFull": "1", "SaveFailed": "0", "Ended": "0",
        "ShmItems": "1", "ShmDropped": "0"}
    s.set(jar, a="")
    assert status_of(s.server)["SessionHAEnded"] == "1"
    s.server.graceful()
    assert status_of(s.server)["SessionHALoadHit"] == "2"
    page = s.server.get("/status")
    assert page.status == 200 and "mod_session_ha, shm" in page.text


def test_mod_status_shows_nodes(httpd, workdir, memcacheds):
    nodes = memcacheds(2)
    s = Site(httpd(f"{nodes_conf(nodes, secret_file(workdir), ['e', 'w'])}"
                   f"SessionHA On\n{HERE}\n{STATUS}"))
    told = status_of(s.server)
    assert told["SessionHAStore"] == "memcached"
    assert told["SessionHANode0"].startswith("m1 up ")
    page = s.server.get("/status").text
    assert "<td>m2</td><td>w</td><td>up</td>" in page


def test_every_line_of_mod_status_is_in_the_readme(httpd, workdir,
                                                   memcacheds):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as f:
        named = set(re.findall(r"`(SessionHA\w+)`", f.read()))
    nodes = nodes_conf(memcacheds(1), secret_file(workdir))
    for conf, few in ((nodes, 28), ("", 23)):
        told = status_of(httpd(f"{conf}SessionHA On\n{STATUS}"))
        assert set(told) <= named and len(told) >= few


def leaks(text, secrets):
    return sorted(name for name, value in secrets.items() if value in text)


def test_nothing_secret_is_ever_logged(httpd, jar, workdir, memcacheds):
    """Not by us at trace8; what httpd logs of headers is its own."""
    nodes = memcacheds(2)
    path = secret_file(workdir)
    server = httpd(f"{nodes_conf(nodes, path)}SessionHA On\n"
                   f"{login_conf(workdir)}\n{HERE}\n"
                   "SessionHARequestHeader X-Session\n",
                   loglevel="warn session_ha:trace8 session:trace8")
    s = Site(server)
    server.file("private/index.html", "the vault")
    login(server, jar)
    s.set(jar, card="4111-1111-attribute-value", colour="mauve")
    s.set(jar, **{"x" * 1100: "too-long-a-name"})
    s.log.expect("HA0402")
    good = jar["HASESSION"]
    s.told(headers={"Cookie": f"HASESSION={good[:-4]}AAAA"})
    s.told(headers={"Cookie": "HASESSION=forged-cookie-value"})
    nodes[0].kill9()
    s.told(jar)
    s.log.allow("HA0212|HA0304|HA0306")
    nodes[1].freeze()
    server.get("/cgi-bin/app", jar=jar)
    nodes[1].thaw()
    server.graceful()
    with open(path, "w") as f:
        f.write("garbled-secret\n")
    server.graceful()
    s.log.expect("HA0109")
    s.log.expect("HA0110")
    # The monitor may see the change before the second restart ends.
    s.log.allow("HA0171")
    facts = base64.urlsafe_b64decode(good.split(".")[0] + "==")
    names = {"cookie": good, "facts": good.split(".")[0],
             "mac": good.split(".")[1], "id": facts[5:21].hex(),
             "value": "4111-1111", "name": "x" * 100,
             "other value": "mauve", "forged": "forged-cookie",
             "garbled": "garbled-secret", "password": "lovelace"}
    names.update({f"key {i}": key for i, node in enumerate(nodes)
                  if node.is_running() for key in node.keys()})
    names.update({f"secret {i}": x for i, x in
                  enumerate(read_secrets(path))})
    assert "session_ha:debug" in s.log.text
    assert leaks(s.log.text, names) == []
