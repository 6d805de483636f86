# SPDX-License-Identifier: Apache-2.0
"""Plays a plan: clients at work while its faults happen, then the verdict."""

import os
import random
import time

from judge import judge
from plan import EPOCH, apply
from process import wait_until
from record import History
from users import Client, Party, learn_saves
from world import World

MENDER = 100                  # the number of the client that sees all copies
CLOCK = 1                     # seconds by which a start may be known wrong
NEAR = 0.1                    # seconds around a violation that are shown
NOT_YET = 1.0                 # seconds after which a log line may be missing


class Verdict:
    def __init__(self):
        self.violations = []
        self.excused = []
        self.ops = 0
        self.sessions = 0
        self.crashes = []          # lines of error_log that are no fault's
        self.words = {}            # what saves said, and how often
        self.epochs = 0
        self.disturbed = 0

    @property
    def is_good(self):
        return not self.violations and not self.crashes

    def count(self, session):
        self.sessions += 1
        for op in session.ops:
            if op.session is session or op.created is session:
                word = f"{op.kind}: {op.save}" if op.status else \
                    f"{op.kind}: no answer"
                self.words[word] = self.words.get(word, 0) + 1

    def summary(self):
        lines = [f"{self.ops} operations on {self.sessions} sessions, "
                 f"{self.epochs} epochs, {self.disturbed} of them disturbed, "
                 f"{len(self.violations)} violations, {len(self.excused)} "
                 f"excused, {len(self.crashes)} crashes"]
        return "\n".join(lines + [f"  {n:6} {word}" for word, n in
                                  sorted(self.words.items())])


class Game:
    """One world, one history. sabotage(game) may break promises on purpose:
    it is called in the middle of each epoch."""

    def __init__(self, folder, replicas, seed, clients, users, sabotage=None,
                 log_level="warn"):
        self.world = World(folder, replicas, log_level)
        self.history = History(replicas)
        self.verdict = Verdict()
        self.draw = random.Random(f"{seed}/steps")
        self.sabotage = sabotage
        self.begun = time.monotonic()
        self.party = Party(self.world, self.history, seed, clients, users,
                           self.begun)
        self.mender = Client(self.party, MENDER)

    @property
    def now(self):
        return self.party.now()

    def start(self):
        self.world.start()
        self.party.begin()

    def pause_until(self, moment):
        while self.now < moment and not self.verdict.violations:
            time.sleep(min(0.05, max(0, moment - self.now)))
            learn_saves(self.world, self.history)

    def epoch(self, epoch, length=EPOCH):
        """Let things fail, mend them, see R copies of all."""
        begun = self.now
        before = self.world.wait_whole()
        for step in epoch["steps"]:
            self.pause_until(begun + step[0])
            self.history.event(self.now, " ".join(map(str, step[1:])))
            apply(step, self.world, self.draw)
        if self.sabotage:
            self.pause_until(begun + length / 2)
            self.sabotage(self)
        self.pause_until(begun + length)
        self.history.event(self.now, "mend all")
        self.world.heal()
        after = self.world.wait_whole()
        self.history.event(self.now, "all nodes are up")
        self.see_all_copies()
        if self.is_disturbed(epoch["bad"], before, after):
            self.history.event(self.now, f"disturbed: {before} {after}")
            self.history.disturbed.append((begun, self.now))
            self.verdict.disturbed += 1
        self.verdict.epochs += 1
        self.history.event(self.now, "R copies of all sessions were seen")

    def is_disturbed(self, bad, before, after):
        """Whether a node that should not have failed did, for a server."""
        return any(after[host][node] > before[host][node] + CLOCK
                   for host in range(2) for node in range(len(before[0]))
                   if node not in bad)

    def see_all_copies(self):
        full = f"{self.world.replicas}/{self.world.replicas}"
        for session in list(self.history.sessions):
            for host in range(2):
                wait_until(lambda: self.is_seen(session, host, full), 30,
                           f"{full} copies of session {session.number}")

    def is_seen(self, session, host, full):
        op = self.mender.run("read", host, session, {})
        if op.load == "miss":
            self.party.over(session)
            return True
        return op.load == "hit" and op.copies == full

    # ---- the verdict

    def judge_old(self):
        """Judge and forget sessions that nobody asks for any more."""
        learn_saves(self.world, self.history)
        old = self.party.old_ghosts()
        current = {user.session for user in self.party.users}
        with self.party.lock:
            current.update(self.party.ghosts)
        orphans = [s for s in list(self.history.sessions)
                   if s not in current and s not in old
                   and s.ops[-1].invoked < self.now - 60]
        for session in old + orphans:
            self.judge(session)
            self.history.forget(session)

    def judge(self, session):
        found, excused = judge(self.history, session)
        self.verdict.violations += found
        self.verdict.excused += excused
        self.verdict.count(session)

    def finish(self):
        self.party.end()
        self.see_all_copies()
        time.sleep(NOT_YET if self.verdict.violations else 0.2)
        learn_saves(self.world, self.history)
        for session in list(self.history.sessions):
            self.judge(session)
        self.verdict.ops = self.history.count

    def stop(self):
        self.party.ending.set()
        self.mender.close()
        self.world.stop()
        self.verdict.crashes = [
            f"{server.name}: {line}" for server in self.world.servers
            for line in server.log.unannounced()]


def play(plan, folder, sabotage=None, between=None, length=EPOCH):
    """Play all epochs, or as many as the plan has seconds for, or up to the
    first violation; the game, over."""
    os.makedirs(folder, exist_ok=True)
    game = Game(folder, plan["replicas"], plan["seed"], plan["clients"],
                plan["users"], sabotage)
    try:
        game.start()
        for epoch in plan["epochs"]:
            game.epoch(epoch, length)
            game.judge_old()
            if between:
                between(game)
            if game.verdict.violations or game.now > plan["seconds"]:
                break
        game.finish()
    finally:
        game.stop()
    return game


def story(game, violation):
    """A violation, what else was asked of the session, and what went wrong
    at the time."""
    others = "\n".join(f"  {op}" for op in violation.session.ops
                       if op not in violation.ops
                       and op.returned > violation.begin - NEAR
                       and op.invoked < violation.end + NEAR)
    events = "\n".join(f"  {when:8.3f} {text}"
                       for when, text in game.history.events
                       if violation.begin - 8 < when < violation.end + 1)
    return (f"{violation}\nothers at the time:\n{others}\n"
            f"faults around it:\n{events}")
