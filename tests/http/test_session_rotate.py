# SPDX-License-Identifier: Apache-2.0
"""Logout and rotation: who may hold which id, and what it is worth."""

import base64
import hashlib
import os
import subprocess
import threading
import urllib.parse

import pytest

from client import Jar
from process import wait_until
from session_site import (HERE, Site, attributes, login, login_conf, nodes_conf,
                          secret_file)

# The query is what the answer asks for, a semicolon, and what it changes.
ECHO = """#!/bin/sh
echo "Content-Type: text/plain"
control=${QUERY_STRING%%;*}
change=${QUERY_STRING#*;}
if [ -n "$control" ]; then echo "X-Control: $control"; fi
if [ -n "$change" ]; then echo "X-Change: $change"; fi
echo
echo "session=$HTTP_SESSION"
echo "load=$SESSION_HA_LOAD"
"""

CONTROL = """
SessionHAControlHeader X-Control
<Location /cgi-bin/out>
    SetEnv session-ha-logout 1
</Location>
<Location /cgi-bin/turn>
    SetEnv session-ha-rotate yes
</Location>
<Location /cgi-bin/not>
    SetEnv session-ha-logout Off
    SetEnv session-ha-rotate 0
</Location>
"""


@pytest.fixture
def site(httpd):
    """site(conf) -> sessions in shared memory, and words for them."""
    def factory(conf="", **kw):
        s = Site(httpd(f"SessionHA On\n{HERE}\n{CONTROL}\n{conf}", **kw))
        for name in ("out", "turn", "not", "echo"):
            s.server.cgi(name, ECHO)
        return s
    return factory


@pytest.fixture
def pair(httpd, workdir, memcacheds):
    """pair(conf) -> two web servers on three nodes."""
    def factory(conf=""):
        nodes = memcacheds(3)
        conf = (f"{nodes_conf(nodes, secret_file(workdir))}\nSessionHA On\n"
                f"{HERE}\n{CONTROL}\n{conf}")
        pair = [Site(httpd(conf)) for _ in range(2)]
        for s in pair:
            s.server.cgi("echo", ECHO)
            s.nodes = nodes
        return pair
    return factory


def turn(s, jar, **changes):
    """Change the session, and have the application ask for another id."""
    return s.server.get("/cgi-bin/echo?rotate;"
                        + urllib.parse.urlencode(changes), jar=jar)


# ---- logging out ------------------------------------------------------------

@pytest.mark.parametrize("path", ["/cgi-bin/out",
                                  "/cgi-bin/echo?logout;",
                                  "/cgi-bin/echo?LogOut,rotate;"])
def test_a_session_ends_when_it_is_asked_to(site, jar, path):
    s = site()
    s.set(jar, a=1)
    stolen = Jar(jar)
    answer = s.server.get(path, jar=jar)
    assert answer.status == 200 and not jar
    assert "Max-Age=0" in answer.header("Set-Cookie")
    assert not answer.all("X-Control")
    assert s.session(stolen) == {}
    assert s.server.wait_access(3)[1]["save"] == "1/1"


def test_a_logout_wins_over_what_the_same_answer_sets(site, jar):
    s = site()
    s.set(jar, a=1)
    stolen = Jar(jar)
    s.server.get("/cgi-bin/out?;b=2", jar=jar)
    assert not jar and s.session(stolen) == {}


def test_a_variable_that_says_off_asks_for_nothing(site, jar):
    s = site()
    s.set(jar, a=1)
    before = dict(jar)
    assert not s.server.get("/cgi-bin/not", jar=jar).all("Set-Cookie")
    assert jar == before and s.session(jar) == {"a": "1"}


def test_a_logout_without_a_session_stores_nothing(site, jar):
    s = site()
    assert not s.server.get("/cgi-bin/out", jar=jar).all("Set-Cookie")
    jar["HASESSION"] = "forged"
    assert "Max-Age=0" in s.server.get("/cgi-bin/out",
                                       jar=jar).header("Set-Cookie")
    assert not jar


def test_a_control_header_counts_only_where_it_is_named(site, jar):
    s = site("<Location /cgi-bin/echo>\nSessionHAControlHeader None\n"
             "</Location>\n")
    s.set(jar, a=1)
    answer = s.server.get("/cgi-bin/echo?logout;", jar=jar)
    assert answer.header("X-Control") == "logout"
    assert s.session(jar) == {"a": "1"}


def test_a_client_cannot_ask(site, jar):
    s = site()
    s.set(jar, a=1)
    before = dict(jar)
    s.server.get("/cgi-bin/app", jar=jar, headers={
        "X-Control": "logout", "session-ha-logout": "1"})
    assert jar == before and s.session(jar) == {"a": "1"}


def test_an_unknown_word_is_said_once_and_ignored(site, jar):
    s = site()
    s.set(jar, a=1)
    s.log.allow("HA0424")
    for _ in range(3):
        answer = s.server.get("/cgi-bin/echo?explode;", jar=jar)
        assert answer.status == 200 and not answer.all("X-Control")
    assert s.session(jar) == {"a": "1"}
    assert s.log.text.count("HA0424:") == 1


# ---- rotating ---------------------------------------------------------------

@pytest.mark.every_mpm
@pytest.mark.parametrize("path", ["/cgi-bin/turn",
                                  "/cgi-bin/echo?rotate;"])
def test_the_id_is_rotated_when_it_is_asked_to(site, jar, path):
    s = site()
    s.set(jar, a=1)
    old = Jar(jar)
    answer = s.server.get(path, jar=jar)
    assert answer.status == 200 and not answer.all("X-Control")
    assert len(answer.all("Set-Cookie")) == 1
    assert jar["HASESSION"] != old["HASESSION"]
    assert s.session(jar) == {"a": "1"}
    assert s.told(jar)["load"] == "hit"


def test_an_ordinary_save_keeps_the_id(site, jar):
    s = site()
    s.set(jar, a=1)
    before = dict(jar)
    s.set(jar, b=2, superuser="no name of anybody")
    assert jar == before


def test_an_attribute_of_the_application_rotates(site, jar):
    s = site("SessionHARotateOn uid role-*\n")
    for changes, is_new in (({"a": 1}, False), ({"uid": 7}, True),
                            ({"uid": 7}, False), ({"uid": 8}, True),
                            ({"uid": ""}, False), ({"Role-Admin": 1}, True),
                            ({"shop-user": "ada"}, False)):
        before = jar.get("HASESSION")
        s.set(jar, **changes)
        if before is not None:
            assert (jar["HASESSION"] != before) is is_new, changes
    assert s.session(jar) == {"a": "1", "Role-Admin": "1",
                              "shop-user": "ada"}


def test_a_rotated_session_ends_when_it_would_have_ended(site, jar):
    s = site("SessionHALifetime 2s\n")
    s.set(jar, a=1)
    turn(s, jar)
    age = int(jar.attributes["HASESSION"]["max-age"])
    assert age <= 2
    turn(s, jar)
    wait_until(lambda: s.told(jar)["load"] == "refused", 10,
               "the absolute end, in spite of rotations")


# ---- what the old id is worth -----------------------------------------------

@pytest.mark.parametrize("conf", ["", "SessionHAEncryption On\n"])
def test_an_attacker_who_planted_the_id_gains_nothing(pair, conf):
    """He visits the shop, plants his cookie in the victim's browser, and
    waits for the victim to log in."""
    one, other = pair(f"SessionHARotateOn user\n{conf}")
    eve = Jar()
    one.set(eve, cart="poison")
    victim = Jar(eve)
    assert one.session(victim) == {"cart": "poison"}
    assert other.set(victim, user="ada", card=4711).status == 200
    assert victim["HASESSION"] != eve["HASESSION"]
    for s in (one, other):
        told = s.told(eve)
        assert told["load"] == "forwarded"
        assert attributes(told["session"]) == {"cart": "poison"}
    # He writes where the victim is: behind the login, not over it.
    for s in (one, other):
        answer = s.set(eve, card="eve's", note="hello")
        assert answer.status == 200 and not answer.all("Set-Cookie")
    assert one.session(victim) == {"user": "ada", "card": "4711",
                                   "cart": "poison", "note": "hello"}
    # He cannot have it rotated towards him.
    planted = dict(eve)
    turn(other, eve)
    assert eve == planted
    # A login of his own is a session of his own.
    one.set(eve, user="eve")
    assert eve != planted
    assert one.session(eve) == {"user": "eve", "cart": "poison",
                                "note": "hello"}
    assert one.session(victim)["user"] == "ada"
    assert other.session(Jar(planted)) == {"cart": "poison", "note": "hello"}


def test_the_new_id_is_nowhere_in_the_stores(pair, jar):
    one, other = pair()
    one.set(jar, a=1)
    old = Jar(jar)
    turn(one, jar, secret=1)
    facts = {jar["HASESSION"].split(".")[0], old["HASESSION"].split(".")[0]}
    ids = {raw_id(f) for f in facts}
    assert len(ids) == 2
    values = [(key, node.get(key)) for node in one.nodes
              for key in node.keys()]
    assert sorted(k for k, _ in values) == sorted(2 * [key_of(i)
                                                      for i in ids])
    assert not any(i in value for i in ids for _, value in values)
    assert other.told(old)["load"] == "forwarded"


def raw_id(facts):
    return base64.urlsafe_b64decode(facts + "=" * (-len(facts) % 4))[5:21]


def key_of(sid):
    digest = hashlib.sha256(b"mod_session_ha session 1" + sid).digest()
    return "ha1:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_the_old_id_is_worth_nothing_after_the_grace(site, jar):
    s = site("SessionHARotateGrace 1s\n")
    s.set(jar, a=1)
    old = Jar(jar)
    turn(s, jar)
    wait_until(lambda: s.told(Jar(old))["load"] == "miss", 10, "end of grace")
    answer = s.server.get("/cgi-bin/app", jar=old)
    assert not answer.all("Set-Cookie"), \
        "the browser may have the new cookie by now"
    assert s.session(jar) == {"a": "1"}


def test_without_grace_the_old_id_ends_at_once(site, jar):
    s = site("SessionHARotateGrace 0\n")
    s.set(jar, a=1)
    old = Jar(jar)
    turn(s, jar)
    assert s.told(old)["load"] == "miss"
    assert s.session(jar) == {"a": "1"}


SLOW = """#!/usr/bin/python3
import os, time
open(os.environ["DOCUMENT_ROOT"] + "/began", "w").close()
limit = time.monotonic() + 20
while not os.path.exists(os.environ["DOCUMENT_ROOT"] + "/go"):
    assert time.monotonic() < limit
    time.sleep(0.01)
print("Content-Type: text/plain\\nX-Change: slow=1\\n\\ndone")
"""


def test_a_request_under_way_loses_nothing(pair, jar):
    one, other = pair("SessionHARotateGrace 1s\n")
    root = os.path.dirname(one.server.file("began.txt", ""))
    os.chmod(root, 0o777)
    one.server.cgi("slow", SLOW)
    one.set(jar, a=1)
    old = Jar(jar)
    done = []
    thread = threading.Thread(target=lambda: done.append(
        one.server.get("/cgi-bin/slow", jar=old)))
    thread.start()
    wait_until(lambda: os.path.exists(root + "/began"), 10, "slow request")
    turn(other, jar, b=2)
    wait_until(lambda: other.told(Jar(old))["load"] == "miss", 10,
               "end of grace")
    open(root + "/go", "w").close()
    thread.join()
    assert done[0].status == 200 and not done[0].all("Set-Cookie")
    assert other.session(jar) == {"a": "1", "b": "2", "slow": "1"}


def test_a_logout_with_the_old_id_ends_the_session(pair, jar):
    one, other = pair()
    one.set(jar, a=1)
    old = Jar(jar)
    turn(one, jar, b=2)
    other.server.get("/cgi-bin/echo?logout;", jar=old)
    assert one.told(jar)["load"] == "miss"


def test_over_http2_the_id_is_rotated_too(site, jar):
    s = site("Protocols h2c http/1.1\n", modules=["http2"])
    s.set(jar, a=1)
    old = Jar(jar)
    done = subprocess.run(
        ["curl", "-s", "-i", "--http2-prior-knowledge", "-H",
         f"Cookie: {jar.header()}",
         f"http://127.0.0.1:{s.server.port}/cgi-bin/echo?rotate;b=2"],
        capture_output=True, text=True, timeout=30, check=True)
    head, _, _ = done.stdout.replace("\r", "").partition("\n\n")
    assert head.startswith("HTTP/2 200")
    assert "x-control" not in head.lower()
    cookies = [line.split(": ", 1)[1] for line in head.splitlines()
               if line.lower().startswith("set-cookie: ")]
    assert len(cookies) == 1
    jar.take(cookies[0])
    assert jar["HASESSION"] != old["HASESSION"]
    assert s.session(jar) == {"a": "1", "b": "2"}
    assert s.session(old) == {"a": "1"}


def test_an_error_page_asks_for_its_request(site, jar):
    """The words stand in the answer that the error page takes the place of."""
    s = site("ErrorDocument 500 /cgi-bin/app\n")
    s.server.cgi("fail", ECHO.replace(
        'echo "Content', 'echo "Status: 500 sorry"\necho "Content', 1))
    s.set(jar, a=1)
    stolen = Jar(jar)
    answer = s.server.get("/cgi-bin/fail?logout;", jar=jar)
    assert answer.status == 500 and not answer.all("X-Control")
    assert not jar and s.session(stolen) == {}


# ---- mod_auth_form ----------------------------------------------------------

def test_a_login_rotates_the_id_that_was_there_before(httpd, workdir):
    server = httpd(f"SessionHA On\n{login_conf(workdir)}\n"
                   "<Location /cgi-bin>\nSessionHeader X-Change\n"
                   "SessionEnv On\n</Location>\n")
    server.file("private/index.html", "the vault")
    server.log.allow(r"auth_form:error.*(AH01807|AH01808)")
    s = Site(server)
    eve = Jar()
    s.set(eve, cart=1)
    ada = Jar(eve)
    answer = login(server, ada)
    assert answer.status in (301, 302) and len(answer.all("Set-Cookie")) == 1
    assert ada["HASESSION"] != eve["HASESSION"]
    assert server.get("/private/", jar=ada).text == "the vault"
    assert s.session(ada)["cart"] == "1"
    assert server.get("/private/", jar=eve).status == 401
    assert s.session(eve) == {"cart": "1"}
    once_more = Jar(ada)
    login(server, ada)
    assert ada == once_more, "the same user needs no other id"
    assert server.get("/logout", jar=ada).status == 200
    assert server.get("/private/", jar=once_more).status == 401
