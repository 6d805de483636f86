# SPDX-License-Identifier: Apache-2.0
"""Histories under faults, and what the checker of histories can see.

HISTORY_SECONDS is how long the histories take in all; HISTORY_SEED repeats
one. `make soak` plays for as long as wanted.
"""

import os
import random
import sys

import pytest

HISTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))), "history")
sys.path.insert(0, HISTORY)

from plan import make_plan                 # noqa: E402
from game import play                      # noqa: E402
from run import report                     # noqa: E402
from sabotage import KINDS                 # noqa: E402

SECONDS = float(os.environ.get("HISTORY_SECONDS", 20))
SEED = int(os.environ.get("HISTORY_SEED") or random.randrange(1 << 31))
PEACE = {"bad": [], "steps": []}


@pytest.mark.parametrize("replicas", [2, 3])
def test_histories_under_faults_keep_every_promise(workdir, replicas):
    plan = make_plan(SEED, replicas, SECONDS / 2)
    game = play(plan, workdir)
    report(game, plan)
    assert game.verdict.is_good, "see above; HISTORY_SEED repeats it"
    assert game.verdict.ops > 100 and game.verdict.sessions > 3
    assert game.verdict.epochs >= 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_promise_broken_on_purpose_is_found(workdir, kind):
    plan = {"seed": SEED, "replicas": 2, "clients": 4, "users": 3,
            "seconds": 2, "epochs": [PEACE]}
    game = play(plan, workdir, sabotage=KINDS[kind], length=2)
    assert kind in {v.kind for v in game.verdict.violations
                    + game.verdict.excused}, game.verdict.summary()
