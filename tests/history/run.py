#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Histories under faults: run.py [--seconds N] [--seed N] [--replicas 2|3]
                               [--plan FILE] [--shrink]

Clients use sessions through two httpd while nodes and the paths to them fail
by a plan made from the seed; what they saw is held against the promises (see
judge.py). A violation is printed with seed, plan, the operations it rests on
and the faults around it; --shrink looks for a smaller plan that fails too.
Exit 0: no violation.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "http")]

from plan import make_plan, smaller      # noqa: E402
from game import play, story             # noqa: E402

TRIES = 2                     # times that a smaller plan is tried


def play_once(plan, **kw):
    folder = tempfile.mkdtemp(prefix="session-ha-history-")
    try:
        return play(plan, folder, **kw)
    finally:
        if os.environ.get("KEEP"):
            print(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def shrink(plan, kind, play_plan=play_once, log=print):
    """The smallest plan found that ends in a violation of this kind."""
    progress = True
    while progress:
        progress = False
        for candidate in smaller(plan):
            for _ in range(TRIES):
                verdict = play_plan(candidate).verdict
                if any(v.kind == kind for v in verdict.violations):
                    plan = candidate
                    progress = True
                    log(f"still fails with {len(plan['epochs'])} epochs, "
                        f"{plan['clients']} clients, {plan['users']} users")
                    break
            if progress:
                break
    return plan


def report(game, plan):
    print(f"seed {plan['seed']}, {plan['replicas']} replicas")
    print(game.verdict.summary())
    for line in game.verdict.crashes:
        print("crash:", line)
    for violation in game.verdict.violations[:5]:
        print(story(game, violation))
    for violation in game.verdict.excused[:5]:
        print("excused:", story(game, violation))
    if not game.verdict.is_good:
        print("plan:", json.dumps(plan))


def main():
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--seconds", type=float, default=60)
    ask.add_argument("--seed", type=int,
                     default=random.SystemRandom().randrange(1 << 31))
    ask.add_argument("--replicas", type=int, default=2, choices=(2, 3))
    ask.add_argument("--clients", type=int, default=8)
    ask.add_argument("--users", type=int, default=5)
    ask.add_argument("--plan", help="a plan that was printed")
    ask.add_argument("--shrink", action="store_true")
    args = ask.parse_args()
    if args.plan:
        with open(args.plan, encoding="utf-8") as f:
            plan = json.load(f)
    else:
        plan = make_plan(args.seed, args.replicas, args.seconds,
                         args.clients, args.users)
    game = play_once(plan)
    report(game, plan)
    if game.verdict.violations and args.shrink:
        smallest = shrink(plan, game.verdict.violations[0].kind)
        print("smallest plan:", json.dumps(smallest))
    return 0 if game.verdict.is_good else 1


if __name__ == "__main__":
    sys.exit(main())
