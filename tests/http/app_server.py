# SPDX-License-Identifier: Apache-2.0
"""What real application servers of the distribution share in tests: a life,
one page that counts visits in the session, and the story they play."""

import http.client
import json
import os
import subprocess

from client import Client, Jar
from process import Process, free_port, wait_until


class AppServer(Process):
    """One instance; a session ends with it.

    A subclass says argv() and makes a page at page that counts visits, and
    one at ready_page that begins no session.
    """

    page = "/count"
    ready_page = "/ready"

    def __init__(self, route, folder):
        super().__init__()
        self.route = route
        self.folder = str(folder)
        self.port = free_port()
        self.out = os.path.join(self.folder, "out")
        os.makedirs(self.folder)

    def member(self, options=""):
        return (f"BalancerMember http://127.0.0.1:{self.port} "
                f"route={self.route} {options}")

    def argv(self):
        raise NotImplementedError

    def launch(self):
        """Start without waiting, so that several start together."""
        with open(self.out, "a") as out:
            self.spawn(self.argv(), stdout=out, stderr=subprocess.STDOUT)
        return self

    def wait(self):
        """Until it has served a page."""
        wait_until(self._is_ready, 60,
                   f"page from {type(self).__name__} {self.route}")
        return self

    def _is_ready(self):
        if not self.is_running():
            with open(self.out) as f:
                raise RuntimeError(f"{type(self).__name__} {self.route} "
                                   f"ended:\n{f.read()}")
        try:
            with Client(self.port, timeout=30) as c:
                answer = c.get(self.ready_page)
        except (OSError, http.client.HTTPException):
            return False
        if answer.status != 200:
            raise RuntimeError(f"{type(self).__name__} {self.route}: "
                               f"{answer}")
        return answer.text.strip() == "ready"

    def start(self):
        return self.launch().wait()


def pair(kind, workdir):
    """Two running instances, by route; a generator for a fixture."""
    both = {}
    try:
        for route in ("A", "B"):
            both[route] = kind(route, os.path.join(
                workdir, f"{kind.__name__}-{route}")).launch()
        for one in both.values():
            one.wait()
        yield both
    finally:
        for one in both.values():
            one.kill9()


def routed(servers, httpd, profile):
    """A router in front of them."""
    members = "\n".join(s.member("retry=1") for s in servers.values())
    return httpd(f"""
        <Proxy "balancer://apps">
            {members}
            ProxySet stickysession=JSESSIONID|jsessionid
            ProxyCloneRouting On
            ProxyCloneProfile {profile}
        </Proxy>
        ProxyPass "/" "balancer://apps/"
        """, own=("proxy_balancer_clone",))


def visit(server, jar=None, path="/count"):
    """One visit through a router: (clone, visits of this session)."""
    answer = server.get(path, jar=jar)
    assert answer.status == 200, answer
    page = json.loads(answer.text)
    return page["clone"], page["n"]


def last_reason(server, count):
    """CLONE_REASON of the count-th request; access_log comes after it."""
    return server.wait_access(count)[count - 1]["reason"]


def sessions_stay_fail_over_and_return(servers, server):
    """What every pair of application servers shows."""
    page = servers["A"].page

    def come(jar):
        return visit(server, jar, page)

    # affinity: each session stays where it began, and both are used
    visitors = [Jar() for _ in range(4)]
    homes = [come(jar)[0] for jar in visitors]
    assert set(homes) == {"A", "B"}
    for n in range(2, 7):
        for jar, home in zip(visitors, homes):
            assert come(jar) == (home, n)
            assert jar["JSESSIONID"].endswith("." + home)
    assert [e["reason"] for e in server.wait_access(24)] == (
        ["new"] * 4 + ["first"] * 20)

    # fail-over: the survivor begins a session of its own and keeps it
    dead = homes[0]
    alive = "B" if dead == "A" else "A"
    servers[dead].kill9()
    moved = visitors[0]
    assert come(moved) == (alive, 1)
    assert last_reason(server, 25) == "failover"
    server.log.expect("AH00957")
    server.log.allow("AH00959|AH01114")
    assert moved["JSESSIONID"].endswith("." + alive)
    for n in range(2, 5):
        assert come(moved) == (alive, n)
    assert last_reason(server, 28) == "first"
    stayed = visitors[homes.index(alive)]
    assert come(stayed) == (alive, 7)

    # return: new visitors find it, moved ones stay where they are now
    servers[dead].start()
    wait_until(lambda: come(Jar())[0] == dead, 15,
               f"new session on {dead}")
    assert come(moved) == (alive, 5)
