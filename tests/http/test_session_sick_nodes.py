# SPDX-License-Identifier: Apache-2.0
"""One node, or the path to it, is sick in each way there is; users notice
nothing but a request or two that take a budget."""

import threading

import pytest

from process import wait_until
from session_site import HERE, Site, nodes_conf, secret_file

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
    wait_until(lambda: ward.server.get("/page", jar=jar).status == 200
               and ward.log.has("HA0212"), 30, "a node marked down")
    before = len(ward.server.wait_access(2))
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


def test_a_hung_node_takes_no_rank_from_the_others(ward, jar):
    """What others say of a session that is missing stays to be believed."""
    ward.server.file("page", "1")
    wait_until(lambda: min(whole_since(ward)) > 0, 20, "nodes that are whole")
    before = whole_since(ward)
    ward.set(jar, a=1)
    path = owner_path(ward)
    path.behave("hole")
    wait_until(lambda: ward.server.get("/page", jar=jar).status == 200
               and ward.log.has("HA0212"), 30, "a node marked down")
    hung = ward.paths.index(path)

    def others_are_whole():
        now = whole_since(ward)
        return all(0 < now[i] <= before[i] + 1 for i in range(3) if i != hung)

    wait_until(others_are_whole, 10, "the rank of the others")
