# SPDX-License-Identifier: Apache-2.0
"""Faults that pass: nodes that forget, harmed values, partitions, late
writes, crashes of children. Which promise each proves: docs/tests.md."""

import http.client
import os
import signal
import threading

import pytest

from client import Jar
from process import wait_until
from session_site import (HERE, Site, attributes, fields, nodes_conf,
                          secret_file)

BUDGET = "SessionHATimeBudget 1s\n"
STATUS = "<Location /status>\nSetHandler server-status\n</Location>\n"


@pytest.fixture
def fleet(httpd, workdir, memcacheds, relays):
    """fleet(n) -> two sites on n nodes, each site with relays of its own as
    site.paths, and site.nodes."""
    def factory(n, conf="", zones=None, memcached=None, hosts=2):
        nodes = memcacheds(n, **(memcached or {}))
        secret = secret_file(workdir)
        sites = []
        for _ in range(hosts):
            paths = relays(nodes)
            site = Site(httpd(f"{nodes_conf(paths, secret, zones)}{BUDGET}"
                              f"SessionHA On\n{HERE}\n{conf}"))
            site.nodes, site.paths = nodes, paths
            # what goes wrong is announced by each test's name
            site.log.allow("HA02|HA030[46]|HA040[156]|HA041[01]")
            sites.append(site)
        return sites
    return factory


def holders(site, key):
    return [n for n in site.nodes if n.is_running() and n.get(key)]


def key_of(site):
    key, = {k for n in site.nodes for k in n.keys() if k.startswith("ha1:")}
    return key


def status(site):
    """What mod_status says, by name."""
    text = site.server.get("/status?auto").text
    return dict(line.split(": ", 1) for line in text.splitlines()
                if ": " in line)


def restart_empty(node):
    node.kill9()
    node.start()


def wait_for_copies(site, jar, copies="2/2"):
    wait_until(lambda: site.told(jar)["copies"] == copies, 20,
               f"{copies} copies")


# ---- nodes that forget ------------------------------------------------------

@pytest.mark.parametrize("what", ["read", "write", "touch"])
def test_each_node_in_turn_restarts_empty(fleet, jar, what):
    one, other = fleet(3)
    one.set(jar, a=1)
    key = key_of(one)
    wanted = {"a": "1"}
    for i, node in enumerate(one.nodes):
        restart_empty(node)
        if what == "write":
            one.set(jar, **{f"b{i}": i})
            wanted[f"b{i}"] = str(i)
        elif what == "touch":       # the other server has not touched it yet
            other.told(jar)
        assert one.session(jar) == wanted
        wait_for_copies(one, jar)
        assert len(holders(one, key)) >= 2
        assert all(n.ttl(key) > 60 for n in holders(one, key))


def test_each_node_in_turn_restarts_empty_after_a_logout(fleet, jar):
    one, other = fleet(3)
    one.set(jar, a=1)
    stolen = Jar(jar)
    one.set(jar, a="")
    for node in one.nodes:
        restart_empty(node)
        for site in (one, other):
            assert site.session(Jar(stolen)) == {}


def test_a_logout_outlives_a_node_that_forgot_and_one_that_missed_it(
        fleet, jar):
    """D3.2 of the survey: one forgets the end, one has the session still."""
    one, other = fleet(3, "SessionHAReplicas 3\n")
    one.set(jar, a=1)
    stolen = Jar(jar)
    away, forgets, _ = one.nodes
    for site in (one, other):
        site.paths[0].behave("cut")
    one.set(jar, a="")
    restart_empty(forgets)
    for site in (one, other):
        site.paths[0].heal()
    wait_until(lambda: away.get(key_of(one)), 5, "the old copy")
    for site in (other, one, other):
        assert site.session(Jar(stolen)) == {}


def test_a_node_under_pressure_that_evicts_loses_no_session(fleet, jar):
    one, = fleet(2, memcached={"megabytes": 2}, hosts=1)
    one.set(jar, a=1)
    victim, keeper = one.nodes
    evict(victim, key_of(one))
    assert keeper.get(key_of(one))
    assert one.session(jar) == {"a": "1"}


def evict(node, key):
    """Fill a node until it drops an item."""
    size = len(node.get(key))
    for i in range(20):                 # to read it would keep it
        node.command(b"".join(
            b"set junk%0*d 0 0 %d noreply\r\n%s\r\n"
            % (len(key) - 4, i * 5000 + j, size, b"x" * size)
            for j in range(5000)) + b"version", (b"\r\n",), timeout=20)
        if key not in node.keys():
            return
    raise AssertionError("nothing was evicted")


@pytest.mark.parametrize("how, tag", [("evict", "HA0210"),
                                      ("flush", "HA0215")])
def test_what_a_node_dropped_is_no_proof_that_there_was_nothing(
        fleet, jar, how, tag):
    """It has run all the time, and knows no more of the session than one
    that was restarted; the one that knows is away."""
    one, = fleet(2, STATUS, memcached={"megabytes": 2}, hosts=1)
    one.set(jar, a=1)
    key = key_of(one)
    forgets = one.nodes[0]
    wait_until(lambda: status(one)["SessionHANode0"].split()[2] != "0", 20,
               "a node that is known")
    if how == "flush":
        forgets.flush()
    else:
        evict(forgets, key)
    one.log.expect(tag, timeout=20)
    dropped = int(status(one)["SessionHAEvictions0"])
    assert (dropped > 0) == (how == "evict")
    one.paths[1].behave("cut")
    answer = one.server.get("/cgi-bin/app", jar=jar)
    assert answer.status == 503 and not answer.all("Set-Cookie")
    one.paths[1].heal()
    wait_until(lambda: one.server.get("/cgi-bin/app", jar=jar).status == 200,
               20, "the other node")
    assert one.session(jar) == {"a": "1"}


# ---- values that are harmed -------------------------------------------------

def test_no_flipped_bit_in_a_copy_harms_a_session(fleet, jar):
    one, = fleet(2, hosts=1)
    one.set(jar, a="value")
    one.set(jar, b=2)
    key = key_of(one)
    good = one.nodes[0].get(key)
    assert one.nodes[1].get(key) == good
    with one.server.client() as c:
        for at in range(0, len(good), 4):
            harmed = bytearray(good)
            harmed[at] ^= 1 << at % 8
            one.nodes[0].set(key, bytes(harmed))
            answer = c.get("/cgi-bin/app", jar=jar)
            assert "a=value&b=2" in answer.text, at


def test_a_bit_flipped_in_every_copy_shows_nothing_that_was_not_there(
        fleet, jar):
    one, = fleet(2, hosts=1)
    one.set(jar, a="value")
    one.set(jar, b="other")
    key = key_of(one)
    good = one.nodes[0].get(key)
    for at in range(0, len(good), 11):
        harmed = bytearray(good)
        harmed[at] ^= 0x10
        for node in one.nodes:
            node.set(key, bytes(harmed))
        answer = one.server.get("/cgi-bin/app", jar=Jar(jar))
        seen = {} if answer.status == 503 else dict(
            line.split("=", 1) for line in answer.text.splitlines())
        assert answer.status in (200, 503)
        left = [p for p in seen.get("session", "").split("&")
                if p and not p.startswith("expiry=")]
        assert set(left) <= {"a=value", "b=other"}, at
        for node in one.nodes:
            node.set(key, good)


def test_a_flood_without_cookies_stores_nothing_on_any_node(fleet):
    one, = fleet(3, "SessionMaxAge 600\n", hosts=1)
    with one.server.client() as c:
        for _ in range(40):
            assert c.get("/cgi-bin/app").status == 200
    assert [n.keys() for n in one.nodes] == [[], [], []]


# ---- partitions -------------------------------------------------------------

ZONES = ["east", "east", "west", "west"]


def cut_in_two(one, other):
    """The first server reaches the east alone, the other one the west."""
    for i, zone in enumerate(ZONES):
        (other if zone == "east" else one).paths[i].behave("cut")


def mend(*sites):
    for site in sites:
        for path in site.paths:
            path.heal()


def seen(site, jar):
    """The attributes that somebody sees; None while nobody can tell."""
    answer = site.server.get("/cgi-bin/app", jar=Jar(jar))
    if answer.status == 503:
        return None
    assert answer.status == 200, answer
    return attributes(fields(answer)["session"])


def expect_ended(*sites, jar):
    for site in sites:
        told = wait_until(lambda: [found for found in (seen(site, jar),)
                                   if found is not None], 20, "an answer")
        assert told == [{}]


def test_writes_on_both_sides_of_a_partition_meet(fleet, jar):
    one, other = fleet(4, zones=ZONES)
    one.set(jar, a=1)
    cut_in_two(one, other)
    assert one.set(jar, east=1).status == 200
    assert other.set(jar, west=1).status == 200
    mend(one, other)
    # each side has had its two copies all the time: wait for what is in them
    both = {"a": "1", "east": "1", "west": "1"}
    for site in (one, other):
        wait_until(lambda: seen(site, jar) == both, 20, "both writes")
        wait_for_copies(site, jar)
        assert site.session(jar) == both


def test_a_logout_on_one_side_of_a_partition_is_final(fleet, jar):
    one, other = fleet(4, zones=ZONES)
    one.set(jar, a=1)
    stolen = Jar(jar)
    cut_in_two(one, other)
    one.set(Jar(jar), a="")
    assert other.set(jar, west=1).status == 200
    mend(one, other)
    for site in (one, other, one, other):
        wait_until(lambda: seen(site, stolen) == {}, 20, "the end")


def test_what_arrives_late_after_a_logout_revives_nobody(fleet, jar):
    one, other = fleet(3)
    one.set(jar, a=1)
    stolen = Jar(jar)
    for path in one.paths:
        path.behave("stall")
    saving = threading.Thread(target=lambda: one.set(Jar(stolen), late=1))
    saving.start()
    other.set(jar, a="")
    mend(one)
    saving.join()
    expect_ended(one, other, one, other, jar=stolen)


def test_a_logout_that_races_a_slow_save_wins(fleet, jar):
    one, other = fleet(3)
    one.set(jar, a=1)
    stolen = Jar(jar)
    for path in one.paths:
        path.behave("delay 0.15")
    saving = [threading.Thread(
        target=lambda: one.set(Jar(stolen), slow=1)) for _ in range(4)]
    for thread in saving:
        thread.start()
    other.set(jar, a="")
    for thread in saving:
        thread.join()
    mend(one)
    expect_ended(one, other, jar=stolen)


def test_a_child_that_crashes_while_saving_tears_nothing(fleet, jar):
    one, other = fleet(3, "SessionHATimeBudget 10s\n")
    one.set(jar, a=1, b=1)
    key = key_of(one)
    before = {n.name: n.get(key) for n in one.nodes}
    for path in one.paths:
        path.behave("delay 0.3")
    one.log.allow(r"AH00052: .* exit signal Killed \(9\)|AH10392")
    ended = []

    def save():
        try:
            one.set(Jar(jar), a=2, b=2)
        except (OSError, http.client.HTTPException) as e:
            ended.append(e)

    saving = threading.Thread(target=save)
    saving.start()
    wait_until(lambda: any(n.get(key) != before[n.name] for n in one.nodes),
               20, "the record, whose proof is on its way")
    for pid in one.server.children():
        os.kill(pid, signal.SIGKILL)
    saving.join()
    assert ended, "nobody was saving"
    mend(one)
    for site in (other, one):
        wait_until(lambda: site.session(jar) == {"a": "2", "b": "2"}, 20,
                   "what was written, whole")
