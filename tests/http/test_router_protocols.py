# SPDX-License-Identifier: Apache-2.0
"""What is no plain HTTP/1.1 finds its clone, too: WebSockets, by both modules
that carry them, and HTTP/2 to members."""

import pytest

from router import OWN, allow_dead, cookie, shop
from websocket import Socket, SocketClone

# scheme of the members, their option, the module
WAYS = [("http", "upgrade=websocket", "proxy_http"),
        ("ws", "", "proxy_wstunnel")]


@pytest.fixture
def sockets():
    """sockets(scheme) -> three running clones by id."""
    started = []

    def factory(scheme):
        clones = {name: SocketClone(name, scheme) for name in "ABC"}
        started.extend(clones.values())
        return clones

    yield factory
    for clone in started:
        clone.close()


@pytest.fixture(params=WAYS, ids=[way[2] for way in WAYS])
def tunnel(request, sockets, httpd):
    """(router, its clones)"""
    scheme, option, module = request.param
    clones = sockets(scheme)
    server = httpd(shop(clones, members=option + " retry=60"), own=OWN,
                   modules=[module])
    return server, clones


def test_a_websocket_goes_where_its_session_is(tunnel):
    server, clones = tunnel
    for name in ("A", "B", "C", "B"):
        with Socket(server.port, cookie(name)) as ws:
            assert ws.status == 101
            assert ws.say("one") == name + ":one"
            assert ws.say("two") == name + ":two"
    with Socket(server.port, {}) as ws:
        assert ws.say("new")[1:] == ":new"
    assert [len(c.asked) for c in clones.values()].count(0) == 0
    # a tunnel is logged when both its ends are gone, in any order
    reasons = [e["reason"] for e in server.wait_access(5)]
    assert sorted(reasons) == ["first"] * 4 + ["new"]


def test_a_websocket_fails_over_when_it_cannot_connect(tunnel):
    server, clones = tunnel
    allow_dead(server)
    clones["A"].close()
    with Socket(server.port, cookie("A", "C")) as ws:
        assert ws.say("next") == "C:next"
    # all sockets of one session meet on one clone, also without a list
    homes = set()
    for _ in range(4):
        with Socket(server.port, cookie("A", session="lonely")) as ws:
            homes.add(ws.say("x"))
    assert len(homes) == 1
    assert not clones["A"].asked
    # a server that is stopped within a tunnel waits for the tunnel's time-out
    server.wait_access(5)


def test_a_handshake_that_reached_a_clone_is_sent_to_no_other(tunnel):
    server, clones = tunnel
    allow_dead(server)
    for tag in ("CR0220", "AH01102", "AH02452", "AH01110", "AH00898",
                "AH10212", "AH02442", "AH02443", "AH02445", "AH02451",
                "AH01097"):
        server.log.allow(tag)
    clones["A"].is_silent = True
    with Socket(server.port, cookie("A", "B")) as ws:
        assert ws.status in (502, 500, None)
    assert len(clones["A"].asked) == 1
    assert not clones["B"].asked and not clones["C"].asked


class Http2Clone:
    """An httpd that speaks HTTP/2 without TLS and names itself."""

    def __init__(self, clone_id, httpd):
        self.id = clone_id
        self.server = httpd(f'Protocols h2c http/1.1\n'
                            f'Header set X-Clone "{clone_id}"\n'
                            f'Header set X-Protocol "%{{SERVER_PROTOCOL}}e"\n'
                            'RewriteEngine On\n'
                            'RewriteRule .* - '
                            '[E=SERVER_PROTOCOL:%{SERVER_PROTOCOL}]\n',
                            own=(), modules=["http2"], name="h2" + clone_id)
        self.server.file("page.txt", "hello\n")
        # prefork is not made for HTTP/2, and says so
        self.server.log.allow("AH10034")

    def member(self, options=""):
        return (f"BalancerMember h2c://127.0.0.1:{self.server.port} "
                f"route={self.id} {options}").rstrip()


def test_members_that_speak_http2_are_routed_and_failed_over(httpd):
    clones = {name: Http2Clone(name, httpd) for name in "AB"}
    server = httpd(shop(clones, members="retry=60"), own=OWN,
                   modules=["proxy_http2", "http2"])
    for name in ("A", "B", "A"):
        answer = server.get("/page.txt", headers=cookie(name))
        assert (answer.status, answer.header("X-Clone")) == (200, name)
        assert answer.header("X-Protocol") == "HTTP/2.0"
        assert answer.header("X-Reason") == "first"
    allow_dead(server)
    server.log.allow("AH03354|AH10034")
    clones["A"].server.kill9()
    for _ in range(2):
        answer = server.get("/page.txt", headers=cookie("A", "B"))
        assert (answer.status, answer.header("X-Clone")) == (200, "B")
        assert answer.header("X-Reason") == "next"
