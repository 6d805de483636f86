# SPDX-License-Identifier: Apache-2.0
"""Which clone a session's cookie or URL leads to, and what is said of it."""

import socket

import pytest

from backend import balancer
from router import OWN, SHOW, cookie, served, shop, shown


@pytest.fixture
def site(httpd, clones):
    """Three clones, all up, behind the router."""
    three = clones("A", "B", "C")
    server = httpd(shop(three), own=OWN)
    server.clones = three
    return server


def serves(site, rows):
    """Each row: what is sent, (clone, reason) wanted. Four times each, so
    that no balancing can be right by chance."""
    for sent, wanted in rows:
        got = [served(site.get("/", headers=sent)) for _ in range(4)]
        assert got == [wanted] * 4, sent


@pytest.mark.every_mpm
def test_a_session_reaches_the_first_clone_it_lists(site):
    serves(site, [(cookie(*ids), wanted) for ids, wanted in [
        (["A"], ("A", "first")), (["B"], ("B", "first")),
        (["C"], ("C", "first")), (["B", "A"], ("B", "first")),
        (["C", "B", "A"], ("C", "first")), (["X", "B"], ("B", "next")),
        (["X", "Y", "C", "A"], ("C", "next")), (["", "B"], ("B", "first")),
    ]])


def test_a_session_in_the_url_reaches_its_clone(site):
    for path in ("/shop/x.jsp;jsessionid=0000s1:B",
                 "/shop/x.jsp;jsessionid=0000s1:B;a=b?q=1",
                 "/shop/x.jsp;a=b;jsessionid=0000s1:B",
                 "/shop/x.jsp?jsessionid=0000s1:B",
                 "/shop/x.jsp?q=1&jsessionid=0000s1:B&r=2",
                 "/shop;jsessionid=0000s1:X:B"):
        answers = [site.get(path) for _ in range(4)]
        assert [served(a)[0] for a in answers] == ["B"] * 4, path
        assert shown(answers[0])["sticky"] == "jsessionid"
        assert site.clones["B"].requests[-1]["path"] == path


def test_every_cookie_of_the_name_counts(site):
    serves(site, [({"Cookie": header}, wanted) for header, wanted in [
        ("JSESSIONID=0000s1:X; JSESSIONID=0000s2:C", ("C", "first")),
        ("JSESSIONID=0000s1:X:Y; a=b; JSESSIONID=0000s2:X:C", ("C", "next")),
        ("JSESSIONID=0; JSESSIONID=0000s2:C", ("C", "first")),
        ("JSESSIONID=; JSESSIONID=0000s2:C", ("C", "first")),
        ("XJSESSIONID=0000s1:A; JSESSIONID=0000s2:C", ("C", "first")),
        ("jsessionid=0000s1:A; JSESSIONID=0000s2:C", ("C", "first")),
        ('JSESSIONID="0000s2:C"', ("C", "first")),
        ('size=24"; JSESSIONID=0000s2:C; h=10"', ("C", "first")),
        ('a="x; JSESSIONID=0000s2:C; p={"a":"x, y"}', ("C", "first")),
        ("JSESSIONID=0000s2%3AC", ("C", "first")),
        ('JSESSIONID="0000s2%3aX%3aC"; $Path=/', ("C", "next")),
        (["JSESSIONID=0000s1:X", "JSESSIONID=0000s2:C"], ("C", "first")),
    ]])


def raw_get(site, cookie_value):
    """Status and headers; http.client would not send what is sent here."""
    with socket.create_connection(("127.0.0.1", site.port), 20) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n"
                  b"Connection: close\r\nCookie: " + cookie_value
                  + b"\r\n\r\n")
        head = b"".join(iter(lambda: s.recv(1 << 16), b"")).partition(
            b"\r\n\r\n")[0]
    lines = head.decode("latin-1").split("\r\n")
    return int(lines[0].split()[1]), dict(
        line.split(": ", 1) for line in lines[1:])


X, Y = b"JSESSIONID=0000s1:X; ", b"JSESSIONID=0000s2:"
# what is sent; who serves it and why. None: anybody, but always the same
AWKWARD = [
    (Y + b"B" + b":x" * 1000, "B", "first"),
    (Y + b"x:" * 31 + b"B", "B", "next"),
    # beyond the 32nd nobody looks
    (Y + b"x:" * 1000 + b"B", None, "unknown"),
    (b"JSESSIONID=0000" + b"s" * 8000 + b":B", "B", "first"),
    (Y + b":" * 8000 + b"B", "B", "first"),
    # too long: as if it were not there
    (b"JSESSIONID=0000" + b"s" * 9000 + b":A; " + Y + b"C", "C", "first"),
    (b"JSESSIONID=0000s" + b":A" * 9000 + b"; " + Y + b"C", "C", "first"),
    (X * 7 + Y + b"C", "C", "first"),
    (X * 500 + Y + b"C", None, "unknown"),
    (b"JSESSIONID=; " * 500 + Y + b"C", "C", "first"),
    (b"=;" * 4000 + Y + b"C", "C", "first"),
    (Y + b"\xff\xfe:B", "B", "next"),
    (b"JSESSIONID=0000\x80\xff\xc3:B", "B", "first"),
    (Y + b"%00:%:%4:%zz:%3:B", "B", "next"),
    (Y + b"%42", None, "unknown"),
    (Y + b"X%3AB", "B", "next"),
    (b"JSESSIONID=MDAwMHMxOkI=", None, "unknown"),
]


@pytest.mark.every_mpm
def test_an_awkward_cookie_is_read_as_far_as_it_makes_sense(httpd, clones):
    three = clones("A", "B", "C")
    site = httpd(shop(three, before="LimitRequestFieldSize 65536\n",
                      members="responsefieldsize=65536"), own=OWN)
    children = set(site.children())
    for sent, clone, reason in AWKWARD:
        got = [raw_get(site, sent) for _ in range(4)]
        assert {status for status, _ in got} == {200}, sent[:60]
        assert {h["X-reason"] for _, h in got} == {reason}, sent[:60]
        routes = {h["X-route"] for _, h in got}
        assert len(routes) == 1 and clone in (None, *routes), sent[:60]
    # what no header may hold
    before = [len(c.requests) for c in three.values()]
    for byte in (b"\0", b"\x01", b"\x7f"):
        assert raw_get(site, Y + byte + b":B")[0] == 400
    assert [len(c.requests) for c in three.values()] == before
    assert children <= set(site.children())


def test_the_cookie_is_believed_before_the_url(site):
    for _ in range(4):
        answer = site.get("/;jsessionid=0000s1:B", headers=cookie("C"))
        assert served(answer) == ("C", "first")


PROFILES = [
    ("websphere", "0000s1:B", ("B", "first")),
    ("websphere-plus", "0000s1+X+B", ("B", "next")),
    ("websphere-plus", "0000s1%2BB", ("B", "first")),
    ("tomcat", "0123456789ABCDEF.B", ("B", "first")),
    ("jetty", "node0.1abc.B", ("B", "first")),
    ("wildfly", "Qx81kLmn.B", ("B", "first")),
    ("wildfly-ranked", "Qx81kLmn.X.B.A", ("B", "next")),
    ("weblogic", "BBp9TAACMTgl!B!1308677666322", ("B", "first")),
    ("weblogic", "BBp9TAACMTgl!-314662473!B", ("B", "next")),
    ("weblogic", "BBp9TAACMTgl%21B", ("B", "first")),
    ("spring", "NWY5YS5C", ("B", "first")),
]


def test_every_profile_finds_its_clone(httpd, clones):
    three = clones("A", "B", "C")
    names = sorted({row[0] for row in PROFILES})
    server = httpd(SHOW + "".join(
        balancer(three, name).replace("ProxyPass / ", f"ProxyPass /{name}/ ")
        .replace("</Proxy>", "ProxyCloneRouting On\n"
                 f"ProxyCloneProfile {name.title()}\n</Proxy>")
        for name in names), own=OWN)
    assert len(names) == 8
    for name, value, wanted in PROFILES:
        got = [served(server.get(f"/{name}/", headers={
            "Cookie": f"JSESSIONID={value}"})) for _ in range(4)]
        assert got == [wanted] * 4, (name, value)


def test_a_clone_id_is_a_whole_word(httpd, clones):
    server = httpd(shop(clones("v5", "v54", "v540")), own=OWN)
    for clone_id in ("v54", "v5", "v540"):
        assert served(server.get("/", headers=cookie(clone_id))) == (
            clone_id, "first")


def test_requests_without_a_session_are_balanced_by_weight(httpd, clones):
    server = httpd(shop(clones("A", "B"), members={"A": "loadfactor=3"}),
                   own=OWN)
    got = [served(server.get("/")) for _ in range(8)]
    assert sorted(got) == [("A", "new")] * 6 + [("B", "new")] * 2


def test_a_session_that_names_no_clone_here_stays_on_one(site):
    for n in range(6):
        headers = cookie("gone", session=f"stranger{n}")
        first = served(site.get("/", headers=headers))
        assert first[1] == "unknown"
        for version in ("0001", "0007"):
            headers = cookie("gone", session=f"stranger{n}", version=version)
            assert served(site.get("/", headers=headers)) == first


def test_the_variables_keep_their_meaning(site):
    clones = site.clones
    assert shown(site.get("/", headers=cookie("B"))) == {
        "name": "balancer://shop", "worker": clones["B"].url, "route": "B",
        "changed": None, "sticky": "JSESSIONID", "session_route": "B",
        "reason": "first", "was": f"127.0.0.1:{clones['B'].port}"}
    assert shown(site.get("/", headers=cookie("X", "B"))) == {
        "name": "balancer://shop", "worker": clones["B"].url, "route": "B",
        "changed": "1", "sticky": "JSESSIONID", "session_route": "X",
        "reason": "next", "was": f"127.0.0.1:{clones['B'].port}"}
    new = shown(site.get("/"))
    assert (new["changed"], new["sticky"], new["session_route"],
            new["reason"]) == ("1", None, None, "new")
    assert new["was"] == f"127.0.0.1:{clones[new['route']].port}"


def test_what_was_set_before_says_nothing_of_the_choice(httpd, clones):
    """As in a sub-request, which begins with the variables of its request."""
    before = ('SetEnvIf Request_URI "." BALANCER_ROUTE_CHANGED=1 '
              "BALANCER_SESSION_STICKY=x BALANCER_SESSION_ROUTE=y\n")
    site = httpd(shop(clones("A", "B"), before=before), own=OWN)
    assert shown(site.get("/", headers=cookie("B")))["changed"] is None
    new = shown(site.get("/"))
    assert (new["sticky"], new["session_route"]) == (None, None)


def test_no_log_line_holds_a_session(httpd, clones):
    secret = "aVerySecretSession"
    server = httpd(shop(clones("A", "B")), own=OWN, loglevel="debug "
                   "proxy_balancer_clone:trace8 proxy_balancer:trace8")
    server.get("/", headers=cookie("A", session=secret))
    server.get("/", headers=cookie("gone", session=secret))
    server.get("/", headers={"Cookie": f"JSESSIONID=0:{secret}"})
    line = server.log.expect("CR0203")
    assert "separator within the version" in line
    assert len([l for l in server.log.lines("debug") if "CR0201" in l]) == 3
    assert secret not in server.log.text


def test_each_decision_is_one_line(site):
    site.get("/", headers=cookie("X", "B"))
    line = site.log.expect("CR0201")
    assert "balancer://shop: clone B at http://127.0.0.1:" in line
    assert "next" in line
    assert len([l for l in site.log.lines("debug") if "CR02" in l]) == 1
