# SPDX-License-Identifier: Apache-2.0
"""Sessions outlive their nodes: killed, frozen, emptied, all at once."""

import threading

import pytest

from client import Jar
from process import wait_until
from session_site import (HERE, Site, ask_until_down, fields, nodes_conf,
                          secret_file)


@pytest.fixture
def cluster(httpd, workdir, memcacheds):
    """cluster(n) -> a site on n memcacheds, as site.nodes."""
    def factory(n, conf="", **kw):
        nodes = memcacheds(n)
        s = Site(httpd(f"{nodes_conf(nodes, secret_file(workdir))}\n"
                       f"SessionHA On\n{HERE}\n{conf}", **kw))
        s.nodes = nodes
        s.conf = s.server.conf
        s.log.allow("HA0212")
        return s
    return factory


IDLE_LIMITS = """
<Location /cgi-bin>
SessionMaxAge 30
</Location>
<Location /elsewhere>
SessionMaxAge 604800
</Location>
"""


def test_a_repaired_copy_lives_as_long_as_the_session(cluster, jar):
    s = cluster(2, IDLE_LIMITS)
    s.set(jar, a=1)
    key, = s.nodes[0].keys()
    s.nodes[0].delete(key)
    assert s.session(jar) == {"a": "1"}
    assert all(1 <= n.ttl(key) <= 60 for n in s.nodes)


def test_an_end_is_remembered_for_the_longest_limit_there_is(cluster, jar):
    s = cluster(2, IDLE_LIMITS.replace("604800", '"604800"'))
    s.set(jar, a=1)
    s.set(jar, a="")
    assert all(n.ttl(key) > 604800 for n in s.nodes for key in n.keys())


def holders(s):
    return [n for n in s.nodes if n.is_running() and n.keys()]


@pytest.mark.every_mpm
def test_a_session_has_two_copies(cluster, jar):
    s = cluster(3)
    s.set(jar, a=1)
    assert len(holders(s)) == 2
    assert holders(s)[0].keys() == holders(s)[1].keys()
    assert s.told(jar)["copies"] == "2/2"
    assert [e["save"] for e in s.server.wait_access(2)] == ["2/2",
                                                           "unchanged"]


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("how", ["kill9", "freeze"])
def test_any_one_node_may_die(cluster, jar, which, how):
    s = cluster(3)
    s.set(jar, a=1)
    getattr(s.nodes[which], how)()
    for i in range(4):
        assert s.session(jar)["a"] == "1"
        assert s.set(jar, **{f"b{i}": i}).status == 200
    assert s.session(jar) == {"a": "1", "b0": "0", "b1": "1", "b2": "2",
                              "b3": "3"}


def test_a_change_made_while_a_node_is_away_outlives_the_other(cluster, jar):
    s = cluster(3)
    s.set(jar, a=1)
    first, second = holders(s)
    first.kill9()
    for i in range(6):
        s.set(jar, b=i)
    first.start()
    s.log.expect("HA0213|HA0211", timeout=20)
    wait_until(lambda: s.told(jar)["copies"] == "2/2", 20, "two copies")
    second.kill9()
    assert s.session(jar) == {"a": "1", "b": "5"}


def test_all_nodes_away_is_a_503_that_keeps_the_cookie(cluster, jar):
    s = cluster(3)
    s.set(jar, a=1)
    cookie = dict(jar)
    for node in s.nodes:
        node.freeze()
    answer = s.server.get("/cgi-bin/app", jar=jar)
    assert answer.status == 503
    assert int(answer.header("Retry-After")) > 0
    assert not answer.all("Set-Cookie") and jar == cookie
    s.log.expect("HA0304")
    assert s.server.get("/cgi-bin/app").status == 200, \
        "a visitor without a session needs no store"
    for node in s.nodes:
        node.thaw()
    s.log.allow("HA0211|HA0306")
    wait_until(lambda: s.server.get("/cgi-bin/app", jar=jar).status == 200,
               20, "an answer")
    assert s.session(jar) == {"a": "1"}


def test_an_unknown_session_is_never_saved_blank(cluster, jar):
    s = cluster(2, "SessionHAUnknownPolicy anonymous\nSessionMaxAge 600\n")
    s.set(jar, a=1)
    for node in s.nodes:
        node.freeze()
    cookie = dict(jar)
    answer = s.set(jar, b=2)
    assert answer.status == 200 and fields(answer)["load"] == "unknown"
    assert not answer.all("Set-Cookie") and jar == cookie
    s.log.expect("HA0304")
    for node in s.nodes:
        node.thaw()
    s.log.allow("HA0211|HA0306")
    wait_until(lambda: s.told(jar)["load"] == "hit", 20, "the session")
    assert s.session(jar) == {"a": "1"}


def test_a_new_session_that_nobody_holds_gets_no_cookie(cluster, jar):
    s = cluster(2)
    for node in s.nodes:
        node.kill9()
    answer = s.set(jar, a=1)
    assert answer.status == 200 and not answer.all("Set-Cookie")
    s.log.expect("HA0401")
    assert s.server.wait_access(1)[0]["save"] == "0/2 failed"


def test_a_save_on_one_of_two_says_degraded(cluster, jar):
    s = cluster(2)
    s.set(jar, a=1)
    s.nodes[0].kill9()
    wait_until(lambda: s.log.has("HA0212") or not s.told(jar), 10,
               "a node marked down")
    s.set(jar, b=1)
    wait_until(lambda: s.server.access[-1]["save"] == "1/2 degraded", 5,
               "1/2 degraded in access_log, which is written last")


def test_a_hung_node_costs_one_budget_and_then_nothing(cluster, jar):
    budget_usec = 600_000
    s = cluster(3, f"SessionHATimeBudget {budget_usec // 1000}ms\n")
    s.server.file("x", "1")
    s.set(jar, a=1)
    holders(s)[0].freeze()
    before = 1 + ask_until_down(s, "/x", jar)
    waited = [int(e["usec"]) for e in s.server.wait_access(before)[1:]]
    assert max(waited) > budget_usec // 4, "nobody met the frozen node"
    assert max(waited) < 2 * budget_usec
    for _ in range(9):
        assert s.server.get("/x", jar=jar).status == 200
    after = s.server.wait_access(before + 9)[before:]
    assert {e["load"] for e in after} == {"hit"}
    assert sorted(int(e["usec"]) for e in after)[4] < budget_usec // 4


def test_a_logout_while_a_node_is_away_is_final(cluster, jar):
    s = cluster(3)
    s.set(jar, a=1)
    stolen = Jar(jar)
    away = holders(s)[0]
    away.freeze()
    s.log.allow("HA0406|HA0222")
    s.set(jar, a="")
    assert not jar
    away.thaw()
    s.log.allow("HA0211")
    for _ in range(5):
        assert s.session(stolen) == {}


@pytest.mark.every_mpm
def test_two_servers_change_one_session_at_once(cluster, jar, httpd):
    one = cluster(3)
    other = Site(httpd(one.conf))
    one.set(jar, base=1)
    failed = []

    def change(site, name):
        mine = Jar(jar)
        for i in range(15):
            if site.set(mine, **{f"{name}{i}": i}).status != 200:
                failed.append(name)

    threads = [threading.Thread(target=change, args=(site, name))
               for site, name in ((one, "a"), (other, "b"), (one, "c"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    wanted = {f"{n}{i}": str(i) for n in "abc" for i in range(15)}
    assert other.session(jar) == {"base": "1", **wanted}


@pytest.mark.parametrize("count, conf, down, empty", [
    (1, "", "it is the only node: sessions can be neither read nor kept until "
     "it answers", "it is the only node, and all sessions are lost"),
    (2, "SessionHAReplicas 1\n", "its sessions have no other copy and cannot "
     "be read until it answers", "its sessions had no other copy and are lost"),
    (2, "", "its sessions are read and kept elsewhere",
     "its sessions are read elsewhere and copied back"),
])
def test_what_is_said_of_a_dead_node_is_what_becomes_of_its_sessions(
        cluster, jar, count, conf, down, empty):
    s = cluster(count, conf)
    s.log.allow("HA0304|HA0401|HA0410|HA0306")
    s.set(jar, a=1)
    node = s.nodes[0]
    node.kill9()

    def is_said():
        s.set(Jar(), a=1)
        return s.log.has("HA0212")

    wait_until(is_said, 20, "a node marked down")
    assert "marked down, " + down in s.log.expect("HA0212")
    node.start()
    assert empty in s.log.expect("HA0213", timeout=30)
