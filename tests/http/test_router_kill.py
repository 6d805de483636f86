# SPDX-License-Identifier: Apache-2.0
"""Clones die, freeze and come back by a plan made from a seed, under load
through two routers (router_kill.py). ROUTER_SECONDS plays for longer,
ROUTER_SEED another plan; `make soak SOAK=router` plays it for hours."""

import os
import types

from router_kill import Executed, Kills

SECONDS = float(os.environ.get("ROUTER_SECONDS", "6"))
SEED = int(os.environ.get("ROUTER_SEED", "1"))


def test_clones_that_die_and_return_fail_no_request_that_may_be_repeated(
        workdir):
    kills = Kills(workdir)
    try:
        kills.start()
        kills.play(SEED, SECONDS)
    finally:
        kills.stop()
    print(kills.summary())
    assert kills.broken() == []
    assert kills.complaints() == []


def test_what_was_broken_is_told(workdir):
    kills = Kills(workdir)
    user = kills.users[0]
    for method in ("GET", "PUT", "POST"):
        user.told[method, 200] = 100
    user.told["POST", 502] = 1
    assert kills.broken() == []
    for wrong in (("GET", 503), ("POST", 500), ("POST", "gone")):
        user.told[wrong] = 1
        line, = kills.broken()
        assert line.startswith(wrong[0]) and str(wrong[1]) in line
        del user.told[wrong]
    user.told["PUT", 200] = 3
    assert kills.broken() == ["only 3 PUT were answered"]


def test_a_post_that_two_clones_executed_is_found():
    executed = Executed()
    for paths in (["/POST/7", "/PUT/9"], ["/PUT/9", "/POST/7", "/POST/8"]):
        executed.add(types.SimpleNamespace(
            requests=[{"path": path} for path in paths],
            forget=lambda: None))
    assert executed.twice() == ["/POST/7"]
