# SPDX-License-Identifier: Apache-2.0
"""The judge of histories finds each kind of violation, and no other.

A history is written as rows: what was asked, when, and what came back. Times
are seconds; R is 2.
"""

import os
import sys

import pytest

HISTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))), "history")
sys.path.insert(0, HISTORY)

from judge import judge                    # noqa: E402
from plan import NODES, make_plan, smaller  # noqa: E402
from record import NEVER, History          # noqa: E402
from run import shrink                     # noqa: E402

FULL, HALF = "2/2", "1/2 degraded"


def row(kind, begin, end, sets=None, saw=None, save="unchanged", load="hit",
        copies=FULL, cookie="kept", status=200):
    return locals()


def write(begin, end, save=FULL, **sets):
    return row("write", begin, end, sets, save=save)


def read(begin, end, copies=FULL, **saw):
    return row("read", begin, end, saw=saw, copies=copies)


def lost(begin, end):
    return row("read", begin, end, load="miss", save="nothing")


def logout(begin, end, save=FULL):
    return row("logout", begin, end, {"a": None}, save=save)


def unanswered(begin, **sets):
    return row("write", begin, NEVER, sets, save=None, load=None,
               copies=None, status=None)


def kinds(*rows, disturbed=(), login_save=FULL):
    """What the judge calls a session of a=0, begun from 0 to 1."""
    history = History(2)
    history.disturbed = list(disturbed)
    born = history.begin("login", 0, 0, None, {"a": "0"}, 0)
    born.returned, born.status, born.load = 1, 200, "none"
    born.save = login_save
    session = history.born(born, "cookie")
    for r in rows:
        op = history.begin(r["kind"], 1, 0, session, r["sets"] or {},
                           r["begin"])
        op.returned, op.save, op.load = r["end"], r["save"], r["load"]
        op.copies, op.cookie, op.status = r["copies"], r["cookie"], r["status"]
        op.seen = r["saw"]
    found, excused = judge(history, session)
    return {v.kind for v in found}, {v.kind for v in excused}


BROKEN = {
    "an acknowledged write is not seen":
        ("stale", [write(2, 3, a="1"), read(4, 5, a="0")]),
    "an acknowledged write is overwritten by an older one":
        ("stale", [write(2, 3, a="1"), write(4, 5, a="2"),
                   read(6, 7, a="1")]),
    "an acknowledged attribute is not there":
        ("stale", [write(2, 3, b="1"), read(4, 5, a="0")]),
    "a removed attribute is there again":
        ("stale", [row("remove", 2, 3, {"a": None}, save=FULL),
                   read(4, 5, a="0")]),
    "a value comes and goes":
        ("stale", [write(2, 9, a="1"), write(2, 9, a="2"),
                   read(10, 11, a="1"), read(12, 13, a="2"),
                   read(14, 15, a="1")]),
    "three writes run in a circle":
        ("stale", [write(2, 9, a="1"), write(2, 9, a="2"),
                   write(2, 9, a="3"), read(10, 11, a="2"),
                   read(10, 11, a="1")]),
    "a half stored write that all nodes held is gone":
        ("stale", [write(2, 3, HALF, a="1"), read(4, 5, a="1"),
                   read(6, 7, a="0")]),
    "a write without an answer that was seen is gone":
        ("stale", [unanswered(2, a="1"), read(4, 5, a="1"),
                   read(6, 7, a="0")]),
    "a value that nobody wrote": ("unwritten", [read(2, 3, a="x")]),
    "a value of the future":
        ("unwritten", [read(2, 3, a="1"), write(4, 5, a="1")]),
    "half of what was written at once":
        ("torn", [write(2, 3, p="1", q="1"), write(4, 5, p="2", q="2"),
                  read(4, 5, a="0", p="2", q="1")]),
    "a stored session is not there": ("lost", [lost(2, 3)]),
    "a session that was seen on all nodes is not there":
        ("lost", [read(2, 3, a="0"), lost(4, 5)]),
    "a session lives after its logout":
        ("revived", [logout(2, 3), read(4, 5, a="0")]),
    "a living session's cookie is taken away":
        ("stranger", [row("read", 2, 3, saw={"a": "0"}, cookie="gone")]),
    "a session that nobody can ask for gets another cookie":
        ("stranger", [row("read", 2, 3, load="unknown", status=503,
                          cookie="new", save="nothing")]),
    "an error page": ("answer", [row("read", 2, 3, status=500)]),
    "a genuine cookie is refused":
        ("answer", [row("read", 2, 3, load="refused")]),
}

SOUND = {
    "nothing but reads": [read(2, 3, a="0"), read(4, 5, a="0")],
    "a write in the meantime, seen": [write(2, 5, a="1"), read(3, 4, a="1"),
                                      read(6, 7, a="1")],
    "a write in the meantime, not seen": [write(2, 5, a="1"),
                                          read(3, 4, a="0")],
    "either of two writes at once wins": [
        write(2, 5, a="1"), write(3, 4, a="2"), read(6, 7, a="1")],
    "a half stored write is lost": [write(2, 3, HALF, a="1"),
                                    read(4, 5, a="0")],
    "a half stored write shows and goes": [
        write(2, 3, HALF, a="1"), read(4, 5, copies="1/2", a="1"),
        read(6, 7, a="0")],
    "a write without an answer comes late": [
        unanswered(2, a="1"), read(4, 5, a="0"), write(6, 7, a="2"),
        read(8, 9, a="2"), read(10, 11, a="1")],
    "a write without an answer never comes": [
        unanswered(2, a="1"), read(4, 5, a="0")],
    "a removal at the same time as a write": [
        write(2, 5, a="1"), row("remove", 3, 4, {"a": None}, save=FULL),
        read(6, 7)],
    "a removal that found nothing is none": [
        write(2, 5, b="1"),
        row("remove", 3, 4, {"b": None}, {"a": "0"}), read(6, 7, a="0",
                                                            b="1")],
    "a logout is seen": [logout(2, 3), lost(4, 5)],
    "a logout at the same time as a read": [logout(2, 5),
                                            read(3, 4, a="0")],
    "a half stored logout": [logout(2, 3, HALF), read(4, 5, a="0"),
                             lost(6, 7)],
    "a write while the session ends": [
        logout(2, 5), row("write", 3, 4, {"a": "1"}, {"a": "0"}, "nothing",
                          cookie="gone"), row(
                              "read", 3, 4, saw={"a": "1"})],
    "nobody can be asked": [row("read", 2, 3, load="unknown", status=503,
                                save="nothing", copies=None)],
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_promise_is_found(name):
    kind, rows = BROKEN[name]
    found, _ = kinds(*rows)
    assert kind in found


@pytest.mark.parametrize("name", SOUND)
def test_what_may_happen_is_no_violation(name):
    assert kinds(*SOUND[name]) == (set(), set())


def test_a_session_that_half_stored_may_be_lost():
    assert kinds(lost(2, 3), login_save=HALF) == (set(), set())


def test_more_failures_than_planned_excuse_a_loss_and_no_lie():
    rows = [write(2, 3, a="1"), read(4, 5, a="0"), read(4, 5, a="x")]
    assert kinds(*rows, disturbed=[(3.5, 3.6)]) == ({"unwritten"}, {"stale"})
    assert kinds(*rows, disturbed=[(8, 9)])[0] == {"unwritten", "stale"}


def test_a_plan_lets_less_than_r_nodes_fail_and_comes_from_its_seed():
    for seed in range(200):
        plan = make_plan(seed, 3, 60)
        assert plan == make_plan(seed, 3, 60)
        for epoch in plan["epochs"]:
            assert len(epoch["bad"]) <= 2 and max(
                epoch["bad"], default=0) < NODES
            assert {s[2] for s in epoch["steps"]} - {None} <= set(
                epoch["bad"])


def test_shrinking_finds_the_epoch_and_the_node_that_matter():
    class Played:
        def __init__(self, plan):
            matters = any(2 in e["bad"] for e in plan["epochs"])
            self.verdict = self
            self.kind = "stale"
            self.violations = [self] if matters and plan["users"] > 1 else []

    plan = next(p for p in (make_plan(seed, 3, 60) for seed in range(99))
                if sum(2 in e["bad"] for e in p["epochs"]) == 2)
    smallest = shrink(plan, "stale", Played, log=lambda text: None)
    assert [e["bad"] for e in smallest["epochs"]] == [[2]]
    assert smallest["clients"] == 1 and smallest["users"] == 2
    assert len(list(smaller(smallest))) > 0
