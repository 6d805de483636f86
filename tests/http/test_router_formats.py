# SPDX-License-Identifier: Apache-2.0
"""Forms of session cookies that no profile has: ProxyCloneFormat, and base64
of Spring Session from the first answer on."""

import base64

from backend import balancer
from client import Jar
from router import OWN, SHOW, allow_nobody, cookie, served, shop, shown


def b64(text):
    return base64.b64encode(text.encode()).decode()


FREE = [
    ("separator=:+ skip=4", [("0000s1+X:B", ("B", "next")),
                             ("0000s1%2BB", ("B", "first")),
                             ("00:B", ("new", None))]),
    ("separator=~ position=last", [("s~1~B", ("B", "first")),
                                   ("s~B~X", ("unknown", None))]),
    ("separator=.: list=no", [("s.B", ("B", "first")),
                              ("s.B:C", ("unknown", None))]),
    ("separator=. decode=percent", [("s%2E%42", ("B", "first")),
                                    ("s.B%0d%0aX-Evil: 1", ("new", None))]),
    ("separator=| decode=base64 skip=1", [(b64("xs|X|B"), ("B", "next")),
                                          (b64("xs|B\r\n"), ("new", None)),
                                          ("xs|B", ("new", None))]),
]


def test_a_free_form_finds_its_clone(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(SHOW + "".join(
        balancer(three, f"b{i}").replace("ProxyPass / ", f"ProxyPass /b{i}/ ")
        .replace("</Proxy>", "ProxyCloneRouting On\n"
                 f"ProxyCloneFormat {fields}\n</Proxy>")
        for i, (fields, _) in enumerate(FREE)), own=OWN)
    assert "profile free" in server.log.expect("CR0104")
    for i, (fields, rows) in enumerate(FREE):
        for value, wanted in rows:
            got = [served(server.get(f"/b{i}/", headers={
                "Cookie": f"JSESSIONID={value}"})) for _ in range(4)]
            if wanted[1] is None:
                assert {reason for _, reason in got} == {wanted[0]}, value
            else:
                assert got == [wanted] * 4, (fields, value)


def test_a_form_holds_where_it_is_said(httpd, clones):
    both = clones("A", "B")
    host = ("<VirtualHost *>\nServerName {0}\n{1}\n{2}</VirtualHost>\n")
    here = "ProxyPass / balancer://shop/\n"
    server = httpd(
        "ProxyCloneFormat separator=~\n" + shop(both)
        + host.format("main", "", here)
        + host.format("own", "ProxyCloneFormat separator=+", here)
        + host.format("profile", "ProxyCloneProfile tomcat", here),
        own=OWN)

    def reason(name, value):
        return shown(server.get("/", headers={
            "Host": name, "Cookie": f"JSESSIONID={value}"}))["reason"]

    forms = {"main": "s~B", "own": "s+B", "profile": "s.B"}
    for name in forms:
        for other, value in forms.items():
            assert reason(name, value) == (
                "first" if name == other else "unknown"), (name, other)


def test_no_wrapped_clone_id_breaks_a_header(httpd, clones):
    """A decoded line break in a clone id would become a header's end where
    an administrator puts BALANCER_SESSION_ROUTE into one."""
    server = httpd(shop(clones("A"), "ProxyCloneRouting On\n"
                        "ProxyCloneFormat separator=: decode=percent"),
                   own=OWN)
    for value in ("s:%0d%0aX-Evil:1", "s:A%00", "s:%7f", "s%0a:A"):
        answer = server.get("/", headers={"Cookie": f"JSESSIONID={value}"})
        assert shown(answer)["reason"] == "new"
        assert shown(answer)["session_route"] is None
        assert answer.header("X-Evil") is None


def test_a_spring_session_stays_with_its_clone_and_moves_once(httpd, clones):
    three = clones("A", "B", "C", profile="spring")
    server = httpd(shop(three, "ProxyCloneRouting On\n"
                        "ProxyCloneProfile spring"), own=OWN)
    jar = Jar()
    first, reason = served(server.get("/", jar=jar))
    assert reason == "new"
    for _ in range(4):
        assert served(server.get("/", jar=jar)) == (first, "first")
    three[first].stop()
    allow_nobody(server)
    second, reason = served(server.get("/", jar=jar))
    assert second != first and reason == "failover"
    for _ in range(4):
        assert served(server.get("/", jar=jar)) == (second, "first")
