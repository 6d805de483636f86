# SPDX-License-Identifier: Apache-2.0
"""Two real Tomcat 10 behind the router, with the profile tomcat."""

import os

import pytest

from client import Jar
from process import wait_until
from tomcat import Tomcat, visit


@pytest.fixture
def tomcats(workdir):
    """Two running instances, by route."""
    pair = {}
    try:
        for route in ("A", "B"):
            pair[route] = Tomcat(route, os.path.join(
                workdir, f"tomcat-{route}")).launch()
        for one in pair.values():
            one.wait()
        yield pair
    finally:
        for one in pair.values():
            one.kill9()


def last_reason(server, count):
    """CLONE_REASON of the count-th request; access_log comes after it."""
    return server.wait_access(count)[count - 1]["reason"]


@pytest.fixture
def server(tomcats, httpd):
    members = "\n".join(t.member("retry=1") for t in tomcats.values())
    return httpd(f"""
        <Proxy "balancer://tomcat">
            {members}
            ProxySet stickysession=JSESSIONID|jsessionid
            ProxyCloneRouting On
            ProxyCloneProfile tomcat
        </Proxy>
        ProxyPass "/" "balancer://tomcat/"
        """, own=("proxy_balancer_clone",))


def test_tomcat_sessions_stay_fail_over_and_return(tomcats, server):
    # affinity: each session stays where it began, and both are used
    visitors = [Jar() for _ in range(4)]
    homes = [visit(server, jar)[0] for jar in visitors]
    assert set(homes) == {"A", "B"}
    for n in range(2, 7):
        for jar, home in zip(visitors, homes):
            assert visit(server, jar) == (home, n)
            assert jar["JSESSIONID"].endswith("." + home)
    assert [e["reason"] for e in server.wait_access(24)] == (
        ["new"] * 4 + ["first"] * 20)

    # fail-over: the survivor begins a session of its own and keeps it
    dead = homes[0]
    alive = "B" if dead == "A" else "A"
    tomcats[dead].kill9()
    moved = visitors[0]
    assert visit(server, moved) == (alive, 1)
    assert last_reason(server, 25) == "failover"
    server.log.expect("AH00957")
    server.log.allow("AH00959|AH01114")
    assert moved["JSESSIONID"].endswith("." + alive)
    for n in range(2, 5):
        assert visit(server, moved) == (alive, n)
    assert last_reason(server, 28) == "first"
    stayed = visitors[homes.index(alive)]
    assert visit(server, stayed) == (alive, 7)

    # return: new visitors find it, moved ones stay where they are now
    tomcats[dead].start()
    wait_until(lambda: visit(server, Jar())[0] == dead, 15,
               f"new session on {dead}")
    assert visit(server, moved) == (alive, 5)


def test_a_session_in_the_url_finds_its_tomcat(tomcats, server):
    for _ in range(4):
        jar = Jar()
        home, _ = visit(server, jar)
        path = f"/count.jsp;jsessionid={jar['JSESSIONID']}"
        for n in (2, 3, 4):
            assert visit(server, path=path) == (home, n)
