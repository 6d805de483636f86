# SPDX-License-Identifier: Apache-2.0
"""One node, or the path to it, is sick in each way there is; users notice
nothing but a request or two that take a budget."""

import threading
import time

import pytest

from client import Jar
from process import wait_until
from session_site import HERE, Site, ask_until_down, nodes_conf, secret_file

BUDGET_USEC = 1_000_000
MODES = ["cut", "hole", "stall", "mute", "delay 3", "trickle 0.05",
         "truncate", "corrupt", "corrupt-up", "garbage"]


@pytest.fixture
def ward(httpd, workdir, memcacheds, relays):
    """A site on three nodes; site.paths in front of them."""
    nodes = memcacheds(3)
    paths = relays(nodes)
    site = Site(httpd(f"{nodes_conf(paths, secret_file(workdir))}\n"
                      f"SessionHATimeBudget {BUDGET_USEC // 1000}ms\n"
                      f"SessionHA On\n{HERE}\n<Location /status>\n"
                      "SetHandler server-status\n</Location>\n"))
    site.nodes, site.paths = nodes, paths
    site.log.allow("HA02|HA0306|HA0406|HA041[01]")
    return site


def owner_path(site):
    """The path to one of the nodes that hold the only session."""
    return next(p for p, n in zip(site.paths, site.nodes) if n.keys())


def use(site, jar, rounds):
    """Write and read; what must be there at the end."""
    wanted = {"a": "1"}
    for i in range(rounds):
        assert site.set(jar, **{f"b{i}": i}).status == 200
        wanted[f"b{i}"] = str(i)
        assert site.session(jar) == wanted
    return wanted


def slowest_usec(site):
    return max(int(e["usec"]) for e in site.server.access)


@pytest.mark.parametrize("mode", MODES)
def test_a_sick_owner_costs_nobody_his_session(ward, jar, mode):
    ward.set(jar, a=1)
    path = owner_path(ward)
    path.behave(mode)
    wanted = use(ward, jar, 5)
    assert slowest_usec(ward) < 3 * BUDGET_USEC
    path.heal()
    wait_until(lambda: ward.told(jar)["copies"] == "2/2", 20, "two copies")
    assert ward.session(jar) == wanted


def test_a_node_that_flaps_costs_nobody_his_session(ward, jar):
    ward.set(jar, a=1)
    path = owner_path(ward)
    ending = threading.Event()

    def flap():
        while not ending.is_set():
            path.behave("cut")
            ending.wait(0.15)
            path.heal()
            ending.wait(0.15)

    flapping = threading.Thread(target=flap)
    flapping.start()
    try:
        wanted = use(ward, jar, 10)
    finally:
        ending.set()
        flapping.join()
    path.heal()
    wait_until(lambda: ward.told(jar)["copies"] == "2/2", 20, "two copies")
    assert ward.session(jar) == wanted


def test_a_black_hole_costs_a_budget_and_then_nothing(ward, jar):
    ward.server.file("page", "1")
    ward.set(jar, a=1)
    owner_path(ward).behave("hole")
    before = 1 + ask_until_down(ward, "/page", jar)
    ward.server.wait_access(before)
    for _ in range(9):
        assert ward.server.get("/page", jar=jar).status == 200
    after = ward.server.wait_access(before + 9)[before:]
    assert {e["load"] for e in after} == {"hit"}
    assert sorted(int(e["usec"]) for e in after)[4] < BUDGET_USEC // 4


def whole_since(site):
    """By node: since when it is known to be whole; 0: it is not."""
    text = site.server.get("/status?auto").text
    return [int(line.split()[3]) for line in text.splitlines()
            if line.startswith("SessionHANode")]


SKEW = 5 + 2      # seconds from which on a session is younger than a node


def two_sessions(site):
    """Two sessions with one owner in common: [(jar, numbers of owners)]."""
    found = {}
    while len(found) < 2:
        jar = Jar()
        before = [set(n.keys()) for n in site.nodes]
        site.set(jar, a=1)
        owners = frozenset(i for i, n in enumerate(site.nodes)
                           if set(n.keys()) - before[i])
        found.setdefault(owners, jar)
    return [(jar, set(owners)) for owners, jar in found.items()]


def test_a_hung_node_takes_no_rank_from_the_others(ward):
    """A session that is over is a miss while a node hangs, and no 503: what
    the stand-in had no time for does not count against it."""
    ward.server.file("page", "1")
    wait_until(lambda: 0 < min(whole_since(ward))
               and max(whole_since(ward)) + SKEW < time.time(), 20,
               "nodes that are old enough to be believed")
    ward.log.allow("HA0304")
    (used, owners), (idle, others) = two_sessions(ward)
    ward.paths[(owners & others).pop()].behave("hole")
    wait_until(lambda: ward.server.get("/page", jar=used).status == 200
               and ward.log.has("HA0212"), 30, "a node marked down")
    for node in ward.nodes:
        node.empty()
    # until a prober has looked, a new connection makes a node doubtful
    wait_until(lambda: ward.server.get("/page", jar=idle).status == 200, 10,
               "a node that is believed")
    wait_until(lambda: ward.server.access[-1]["load"] == "miss", 5,
               "a miss in access_log")
