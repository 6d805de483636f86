# SPDX-License-Identifier: Apache-2.0
"""The simulation behind docs/scale.md, with fewer sessions."""

import os
import sys

import pytest

from httpd import ROOT, our_module

sys.path.insert(0, os.path.join(ROOT, "tests", "sim"))

from scale import chart, page, pick, run, value   # noqa: E402


@pytest.fixture(scope="module")
def rows():
    out = os.path.dirname(os.path.dirname(our_module("session_ha")))
    return run(os.path.join(out, "sim", "sim"), 20000)


def test_a_dead_clone_s_load_spreads_over_all_survivors(rows):
    for nodes, bound in ((3, 1.55), (10, 1.2), (30, 1.2)):
        assert value(rows, "survivor", "rendezvous", nodes, 1) < bound
        assert value(rows, "survivor", "buddy", nodes, 1) > 1.95


def test_the_cascade_of_buddies_is_none_of_ours(rows):
    at_60 = {s: value(rows, "cascade", s, 3, 60)
             for s in ("rendezvous", "buddy")}
    assert at_60 == {"rendezvous": pytest.approx(2 / 3, abs=1e-4),
                     "buddy": 0}
    # nor is there a way to bear more than there is
    assert value(rows, "cascade", "rendezvous", 3, 70) == 0


def test_a_node_that_joins_moves_what_it_must(rows):
    for row in pick(rows, "moved")["rendezvous"]:
        assert row.value == pytest.approx(1 / (row.nodes + 1), rel=0.25)


def test_a_copy_less_than_all_may_be_lost_and_a_zone(rows):
    for what, copies in (("lost-2", 2), ("lost-3", 3)):
        for row in pick(rows, what)["rendezvous"]:
            assert (row.value == 0) == (row.x < copies), row
    for row in pick(rows, "zone-told")["rendezvous"]:
        assert row.value == 0
    assert max(r.value for r in pick(rows, "zone-untold")["rendezvous"]) > 0


def test_the_page_holds_what_was_computed(rows):
    text = page(rows, 20000)
    assert "deals\n20,000 sessions" in text
    assert f"| 3 | 65 % | 65 % | {45} % |" in text
    assert "<polyline" in chart("t", "u", {"buddy": [(1, 1), (2, 2)]})
