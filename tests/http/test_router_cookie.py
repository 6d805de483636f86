# SPDX-License-Identifier: Apache-2.0
"""The router's own cookie, for applications whose session names no clone; and
its list behind the signature of mod_session_ha's cookie."""

import re

import pytest

from backend import balancer
from client import Jar
from process import wait_until
from router import MANAGER, OWN, SHOW, allow_nobody, shown
from session_site import read_secrets, secret_file

NAME = "ROUTE"
PLAIN = re.compile(r"[-\w]{16}(:[^;:]+)+")
SIGNED = re.compile(r"[-\w]{16}\.[-\w]{27}(:[^;:]+)+")


def bare(clones, inside="ProxyCloneRouting On\nProxyCloneCookie ROUTE",
         before="", sticky=""):
    """A routed balancer; its application has no session of its own."""
    text = balancer(clones).replace(
        "ProxySet stickysession=JSESSIONID|jsessionid",
        sticky or "ProxySet nofailover=Off").replace(
        "</Proxy>", f"{inside}\n</Proxy>")
    return MANAGER + SHOW + before + text


def ask(server, jar=None, path="/", **kw):
    """(clone that answered, reason)"""
    answer = server.get(path, jar=jar, **kw)
    assert answer.status == 200, answer
    return answer.json["clone"], shown(answer)["reason"]


@pytest.fixture
def three(clones):
    return clones("A", "B", "C", profile="none")


@pytest.fixture
def site(httpd, three):
    server = httpd(bare(three), own=OWN)
    server.clones = three
    return server


@pytest.mark.every_mpm
def test_a_client_stays_with_the_clone_of_its_first_answer(site):
    for _ in range(3):
        jar = Jar()
        first = site.get("/", jar=jar)
        line, = first.all("Set-Cookie")
        assert re.fullmatch(f"{NAME}=[^;]+; Path=/; HttpOnly; SameSite=Lax",
                            line)
        assert PLAIN.fullmatch(jar[NAME])
        assert jar[NAME].endswith(":" + first.json["clone"])
        assert first.header("Cache-Control") == "private"
        for _ in range(4):
            answer = site.get("/", jar=jar)
            assert answer.all("Set-Cookie") == []
            assert answer.header("Cache-Control") is None
            assert shown(answer)["reason"] == "first"
            assert shown(answer)["sticky"] == NAME
            assert shown(answer)["changed"] is None
            assert answer.json["clone"] == first.json["clone"]


@pytest.mark.parametrize("said, sent", [
    ("private", "private"), ("max-age=9", "max-age=9, private"),
    ('private="X-A"', 'private="X-A", private')])
def test_an_answer_is_private_once(site, said, sent):
    for clone in site.clones.values():
        clone.behave(f"header Cache-Control {said}")
    answer = site.get("/")
    assert answer.all("Set-Cookie")
    assert answer.all("Cache-Control") == [sent]


def test_after_a_fail_over_the_client_stays_where_it_went(site):
    jar = Jar()
    first, _ = ask(site, jar)
    name = jar[NAME].split(":")[0]
    site.clones[first].kill9()
    allow_nobody(site)
    second, reason = ask(site, jar)
    assert second != first and reason == "failover"
    assert jar[NAME] == f"{name}:{second}:{first}"
    site.clones[first].start()
    for _ in range(3):
        assert ask(site, jar) == (second, "first")
    # and back, when that one dies: the list is for that
    site.clones[second].kill9()
    third, reason = ask(site, jar)
    assert (third, reason) in [(first, "next"), (third, "failover")]
    assert jar[NAME].startswith(f"{name}:{third}:{second}")


def test_two_routers_send_a_client_to_the_same_stand_in(httpd, three):
    one, two = (httpd(bare(three), own=OWN, name=n) for n in ("one", "two"))
    for server in (one, two):
        allow_nobody(server)
    jars = [Jar() for _ in range(6)]
    for jar in jars:
        ask(one, jar)
    three["A"].kill9()
    for jar in jars:
        sent = {"Cookie": f"{NAME}={jar[NAME]}"}
        assert ask(one, headers=sent)[0] == ask(two, headers=sent)[0]


def test_a_signed_cookie_cannot_be_made_or_changed(httpd, workdir, three):
    secret = secret_file(workdir)
    server = httpd(bare(three, before=f"ProxyCloneCookieSecretFile {secret}\n"),
                   own=OWN, loglevel="debug proxy_balancer_clone:trace1")
    jar = Jar()
    first, _ = ask(server, jar)
    assert SIGNED.fullmatch(jar[NAME])
    for _ in range(3):
        assert ask(server, jar) == (first, "first")
    value = jar[NAME]
    other = "B" if first == "A" else "A"
    for forged in (value.replace(":" + first, ":" + other),
                   value + ":" + other, value[:-1], "x" + value[1:],
                   value[:16] + ":" + other, f"{value[:16]}:{first}",
                   value.replace(".", ".x", 1), "a" * 2000, "", ":", "%00",
                   value[:16] + "." + "A" * 27 + ":" + other):
        answer = server.get("/", headers={"Cookie": f"{NAME}={forged}"})
        assert shown(answer)["reason"] == "new", forged
        assert SIGNED.match(answer.header("Set-Cookie").split("=", 1)[1])
        assert answer.header("Set-Cookie").count(":") == 1
    for word in ("forged", "malformed", "unknown key", "oversize"):
        assert any(word in l for l in server.log.lines("trace1")
                   if "CR0212" in l), word
    # a genuine one behind a forged one counts
    assert ask(server, headers={"Cookie": f"{NAME}=x; {NAME}={value}"}) == (
        first, "first")


def test_secrets_are_changed_one_after_the_other(httpd, workdir, three):
    secret = secret_file(workdir)
    conf = bare(three, before=f"ProxyCloneCookieSecretFile {secret}\n")
    server = httpd(conf, own=OWN)
    jar = Jar()
    first, _ = ask(server, jar)
    old = read_secrets(secret)
    secret_file(workdir, *old)
    server.graceful()
    assert ask(server, jar) == (first, "first")
    secret_file(workdir)
    server.graceful()
    sent = {"Cookie": f"{NAME}={jar[NAME]}"}
    wait_until(lambda: ask(server, headers=sent)[1] == "new", 10,
               "answer by a child that has the new secret alone")
    # a bad file does not end a server that is up
    with open(secret, "w") as f:
        f.write("short\n")
    jar = Jar()
    first, _ = ask(server, jar)
    server.graceful()
    server.log.expect("CR0123")
    server.log.expect("CR0125")
    assert ask(server, jar) == (first, "first")


def test_no_client_writes_into_a_cookie_that_others_get(site):
    """What the answer's cookie lists are members, and nothing that the
    client sent."""
    name = "abcdefghijklmn-_"
    for evil in ("%0d%0aSet-Cookie%3A x", "x%3B Domain", 'x"', "A%00", "gone",
                 "a,b", "\xe4"):
        answer = site.get("/", headers={
            "Cookie": f"{NAME}={name}:{evil}:gone:A:A:B:C"})
        line = answer.header("Set-Cookie")
        if line is None:
            continue
        listed = line.split(";")[0].split(":")[1:]
        assert set(listed) <= {"A", "B", "C"}
        assert len(listed) == len(set(listed)) <= 4
        assert answer.header("x") is None
        assert shown(answer)["session_route"] in (
            "A", "a", "gone", None)


def test_attributes_are_as_said(httpd, three):
    server = httpd(bare(three, "ProxyCloneRouting On\nProxyCloneCookie R2 "
                        "path=/shop domain=example.com samesite=Strict "
                        "secure=on"), own=OWN)
    assert re.fullmatch(
        r"R2=[^;]+; Path=/shop; Domain=example.com; HttpOnly; Secure; "
        r"SameSite=Strict", server.get("/").header("Set-Cookie"))


def test_over_tls_the_cookie_is_secure(httpd, three):
    server = httpd(bare(three), own=OWN, tls=True)
    answer = server.get("/", tls=True)
    assert "; HttpOnly; Secure; SameSite=Lax" in answer.header("Set-Cookie")


def test_a_session_that_names_its_clone_needs_no_cookie(httpd, clones):
    both = clones("A", "B")
    server = httpd(bare(both, sticky="ProxySet stickysession=JSESSIONID"),
                   own=OWN)
    jar = Jar()
    first, _ = ask(server, jar)
    assert list(jar) == ["JSESSIONID"]
    assert ask(server, jar) == (first, "first")
    assert list(jar) == ["JSESSIONID"]
    # a route cookie left from before does not take the session away
    other = "B" if first == "A" else "A"
    got = ask(server, headers={
        "Cookie": f"JSESSIONID={jar['JSESSIONID']}; "
                  f"{NAME}=abcdefghijklmn-_:{other}"})
    assert got == (first, "first")


def test_a_session_that_names_no_clone_is_led_by_the_cookie(httpd, three):
    server = httpd(bare(three, sticky="ProxySet stickysession=JSESSIONID"),
                   own=OWN)
    jar = Jar(JSESSIONID="0000somesession")
    first, _ = ask(server, jar)
    for _ in range(3):
        assert ask(server, jar) == (first, "first")


def test_no_cookie_where_it_would_do_harm(site):
    for clone in site.clones.values():
        clone.behave("status 503")
    assert site.get("/").header("Set-Cookie") is None
    for clone in site.clones.values():
        clone.behave("normal")
    answer = site.get("/?set-cookie=ROUTE%3Dmine")
    assert answer.all("Set-Cookie") == ["ROUTE=mine"]


def test_off_in_a_virtual_host_is_off(httpd, three):
    server = httpd(
        bare(three, "ProxyCloneRouting On", sticky="ProxySet "
             "stickysession=JSESSIONID",
             before="ProxyCloneCookie ROUTE\n")
        + "<VirtualHost *>\nServerName main\nProxyPass / balancer://shop/\n"
          "</VirtualHost>\n<VirtualHost *>\nServerName off\n"
          "ProxyCloneCookie Off\nProxyPass / balancer://shop/\n"
          "</VirtualHost>\n", own=OWN)
    assert server.get("/", headers={"Host": "main"}).header(
        "Set-Cookie").startswith("ROUTE=")
    assert server.get("/", headers={"Host": "off"}).header(
        "Set-Cookie") is None


def test_a_file_of_secrets_that_cannot_be_used_stops_the_start(httpd, workdir,
                                                               three):
    for path, tag in ((workdir + "/none", "CR0121"),
                      (secret_file(workdir, name="open", mode=0o644),
                       "CR0122"),
                      (secret_file(workdir, "short", name="bad"), "CR0123")):
        server = httpd(bare(three, before="ProxyCloneCookieSecretFile "
                                          f"{path}\n"),
                       own=OWN, start=False, name=tag)
        assert tag in server.refuses_to_start()


def test_no_cookie_is_logged(httpd, three):
    server = httpd(bare(three), own=OWN,
                   loglevel="debug proxy_balancer_clone:trace8")
    jar = Jar()
    ask(server, jar)
    ask(server, jar)
    ask(server, headers={"Cookie": f"{NAME}=damaged-{jar[NAME]}"})
    assert jar[NAME].split(":")[0] not in server.log.text


# ---- both modules together

def both_conf(clones, cookie="HASESSION", extra=""):
    return bare(clones, f"ProxyCloneRouting On\nProxyCloneCookie {cookie}",
                before="<Location /app>\nSession On\nSessionHA On\n"
                "SessionHARequestHeader X-Session\n"
                "SessionHADeltaHeader X-Session-Out\n"
                "SetEnvIf Request_URI /out$ session-ha-logout\n" + extra
                + "</Location>\nSessionHAMemory 1048576\n")


@pytest.fixture
def both(httpd, three):
    server = httpd(both_conf(three))
    server.clones = three
    return server


HA = re.compile(r"([-\w]+\.[-\w]{43})((?::\w+)*)")


def parts(jar):
    """(signed part, clones) of the session's cookie"""
    found = HA.fullmatch(jar["HASESSION"])
    assert found, jar["HASESSION"]
    return found.group(1), found.group(2).split(":")[1:]


def test_a_session_s_cookie_carries_the_clone_behind_its_signature(both):
    jar = Jar()
    assert ask(both, jar, "/app/show")[1] == "new"
    assert "HASESSION" not in jar
    first, _ = ask(both, jar, "/app/set?user=ada")
    signed, listed = parts(jar)
    assert listed == [first]
    for _ in range(4):
        answer = both.get("/app/show", jar=jar)
        assert (answer.json["clone"], shown(answer)["reason"]) == (
            first, "first")
        assert shown(answer)["sticky"] == "HASESSION"
        assert answer.json["session"] == {"user": "ada"}
        assert answer.all("Set-Cookie") == []
    assert parts(jar) == (signed, [first])
    # the application never sees the cookie
    for clone in both.clones.values():
        for request in clone.requests:
            assert "HASESSION" not in request["headers"].get("cookie", "")


def test_a_session_that_moved_is_kept_and_its_cookie_says_where(both):
    jar = Jar()
    first, _ = ask(both, jar, "/app/set?user=ada")
    signed, _ = parts(jar)
    both.clones[first].kill9()
    allow_nobody(both)
    answer = both.get("/app/show", jar=jar)
    second = answer.json["clone"]
    assert second != first and shown(answer)["reason"] == "failover"
    assert answer.json["session"] == {"user": "ada"}
    line, = answer.all("Set-Cookie")
    assert line.endswith("; Path=/; HttpOnly; SameSite=Lax")
    assert parts(jar) == (signed, [second, first])
    assert ask(both, jar, "/app/set?basket=1") == (second, "first")
    assert both.get("/app/show", jar=jar).json["session"] == {
        "user": "ada", "basket": "1"}
    assert parts(jar) == (signed, [second, first])


def test_the_sessions_of_a_dead_clone_spread(both):
    jars = [Jar() for _ in range(24)]
    for jar in jars:
        ask(both, jar, "/app/set?user=ada")
    both.clones["A"].kill9()
    allow_nobody(both)
    got = []
    for jar in jars:
        sent = {"Cookie": f"HASESSION={parts(jar)[0]}:A"}
        got.append(ask(both, path="/app/show", headers=sent))
        assert ask(both, path="/app/show", headers=sent)[0] == got[-1][0]
    assert {clone for clone, _ in got} == {"B", "C"}


def test_a_client_s_list_is_never_sent_back(both):
    jar = Jar()
    ask(both, jar, "/app/set?user=ada")
    signed, _ = parts(jar)
    for behind in (":gone", ":A%0d%0ax:B", ".A", "!A", ":A;x", "", ":C:C:C"):
        answer = both.get("/app/show", headers={
            "Cookie": f"HASESSION={signed}{behind}"})
        assert answer.json["session"] == {"user": "ada"}, behind
        for line in answer.all("Set-Cookie"):
            assert re.match(f"HASESSION={re.escape(signed)}(:[ABC])+; Path",
                            line)


def test_a_session_that_ends_takes_its_list_along(both):
    jar = Jar()
    first, _ = ask(both, jar, "/app/set?basket=1")
    assert parts(jar)[1] == [first]
    line, = both.get("/app/out", jar=jar).all("Set-Cookie")
    assert line.startswith("HASESSION=; Path=/; Max-Age=0")


def test_the_list_goes_with_a_rotated_id(httpd, three):
    server = httpd(both_conf(three, extra="SessionHARotateOn user\n"))
    jar = Jar()
    first, _ = ask(server, jar, "/app/set?basket=1")
    before, _ = parts(jar)
    assert ask(server, jar, "/app/set?user=ada") == (first, "first")
    after, listed = parts(jar)
    assert after != before and listed == [first]


def test_a_forged_session_leads_nowhere(both):
    jar = Jar()
    ask(both, jar, "/app/set?user=ada")
    signed, _ = parts(jar)
    forged = ("x" if signed[-1] != "x" else "y").join([signed[:-1], ""])
    got = [ask(both, path="/app/show", headers={
        "Cookie": f"HASESSION={forged}:A"}) for _ in range(6)]
    assert {reason for _, reason in got} == {"new"}
    assert {clone for clone, _ in got} == {"A", "B", "C"}
