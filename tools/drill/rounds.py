# SPDX-License-Identifier: Apache-2.0
"""Rounds of faults. Which and how long comes from the seed, or from the plan,
and from nothing else; when the next one may begin, the site says."""

import http.client
import math
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from .pages import ANSWER_MOST, read_whole
from .ways import Refused, WayFailed, sleep

LOOK_EVERY = 0.1        # seconds between questions whether the site is whole
TRIES = 3               # to bring targets back
AGAIN = 0.5             # seconds before the next
PAGE_WITHIN = 5         # seconds for a page that says whether it is whole
PAGE_MOST = ANSWER_MOST


@dataclass
class Round:
    """What is to happen: (target name, way) pairs, and for how long."""
    faults: list
    lasts: float
    calm: float


@dataclass
class Done:
    """What happened; times are those of time.monotonic()."""
    number: int
    faults: list
    begun: float
    back: float = None          # all brought back
    whole: float = None         # the site said so
    words: list = field(default_factory=list)


def draw(plan, seed):
    """Rounds for ever, the same for the same plan and seed. Every fault comes
    once before any comes again."""
    chance = random.Random(f"{seed} rounds")
    deck = []
    while True:
        wanted = chance.randint(1, plan.at_once)
        faults, held = [], []
        for _ in range(2 * sum(len(t.ways) for t in plan.targets)):
            if len(faults) == wanted:
                break
            if not deck:
                deck = [(t.name, way) for t in plan.targets for way in t.ways]
                chance.shuffle(deck)
            card = deck.pop()
            (faults if fits(plan, faults, card) else held).append(card)
        deck.extend(reversed(held))
        yield Round(faults, chance.uniform(*plan.lasts),
                    chance.uniform(*plan.calm))


def fits(plan, faults, card):
    """May this one be out beside those?"""
    mine = plan.target(card[0])
    for name, _ in faults:
        other = plan.target(name)
        if other is mine or (plan.one_of_a_group
                             and other.group == mine.group):
            return False
    return True


def rounds_of(plan, seed):
    """The plan's own rounds, again and again, or drawn ones."""
    if not plan.rounds:
        yield from draw(plan, seed)
    chance = random.Random(f"{seed} rounds")
    while True:
        for faults, lasts in plan.rounds:
            yield Round(list(faults), lasts, chance.uniform(*plan.calm))


# ---- is the site whole? -----------------------------------------------------

def open_page(url, timeout):
    """Its answer, of a page that says no, too."""
    context = ssl.create_default_context() if url.startswith("https") else None
    try:
        return urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context)).open(
                url, timeout=timeout)
    except urllib.error.HTTPError as e:
        return e


def read_page(url, timeout):
    """(status, text)"""
    until = time.monotonic() + timeout      # then nobody waits for the rest
    with open_page(url, timeout) as answer:
        return answer.status, read_whole(answer, PAGE_MOST, until).decode(
            "utf-8", "replace")


def fetch(url, timeout):
    """(status, text), or OSError. In a thread of its own, which may be left
    alone: a server can take its time with every byte."""
    found = []

    def read():
        try:
            found.append(read_page(url, timeout))
        except Exception as e:      # judged below
            found.append(e)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(timeout)
    what = found[0] if found else TimeoutError()
    if isinstance(what, TimeoutError):      # who saw it first says nothing
        raise OSError(f"no whole page in {timeout:g} s")
    if isinstance(what, http.client.HTTPException):
        raise OSError(f"{type(what).__name__}: {what}")
    if isinstance(what, (OSError, ValueError)):
        raise OSError(getattr(what, "reason", None) or what)
    if isinstance(what, Exception):
        raise what
    return what


def not_whole(plan):
    """None when every check of the plan is content, else what is not."""
    for check in plan.checks:
        try:
            status, text = fetch(check.url, min(plan.timeout, PAGE_WITHIN))
        except OSError as e:
            return f"{check.url}: {e}"
        if not check.see and not 200 <= status < 300:
            return f"{check.url}: status {status}"
        for pattern in check.see:
            if not pattern.search(text):
                return f"{check.url} does not show '{pattern.pattern}'"
        for pattern in check.see_not:
            if pattern.search(text):
                return f"{check.url} shows '{pattern.pattern}'"
    return None


class Conductor:
    """Plays rounds. wait(seconds, state): sleeps, shows progress, and is true
    when all shall stop."""

    def __init__(self, plan, targets, crew, wait):
        self.plan = plan
        self.targets = {t.name: t for t in targets}
        self.crew = crew
        self.wait = wait
        self.done = []
        self.not_back = []      # words of all that failed to bring one back

    def out(self):
        return [t for t in self.targets.values() if t.way]

    def wait_whole(self):
        """None when the site says that it is whole, and every user has seen
        it so since it does; else why not."""
        end = time.monotonic() + self.plan.whole_within
        since = None
        while True:
            why = not_whole(self.plan)
            if why is not None:
                since = None
            elif since is None:
                since = time.monotonic()
            elif self.crew.have_settled(since):
                return None
            why = why or "not every user has seen it whole"
            if time.monotonic() > end:
                return why
            if self.wait(LOOK_EVERY, f"not whole: {why}"):
                return "stopped"

    def play(self, plan_round, until=math.inf):
        """One round, which is over then at the latest; what is wrong with the
        site after it, or None."""
        done = Done(self.done[-1].number + 1 if self.done else 1, [],
                    time.monotonic())
        self.done.append(done)
        try:
            for name, way in plan_round.faults:
                if self.wait(0) or time.monotonic() >= until:
                    break
                if len(self.out()) >= self.plan.at_once:
                    raise WayFailed("more would be out than faults.at_once")
                self.take_away(done, name, way)
            self.wait(max(0, min(plan_round.lasts,
                                 until - time.monotonic())))
        finally:
            done.words += self.bring_all_back()
            done.back = time.monotonic()
            if not done.faults:
                self.done.remove(done)
        if done.words:
            return done.words[0]
        why = self.wait_whole()
        if why is None:
            done.whole = time.monotonic()
        return why

    def take_away(self, done, name, way):
        done.faults.append((name, way))
        try:
            self.targets[name].take_away(way)
        except Refused:
            done.faults.pop()       # it was not touched
            raise

    def bring_all_back(self, tries=TRIES):
        """All of them, whatever happens to one. Returns what could not be
        done."""
        for left in reversed(range(tries)):
            words = [word for word in map(try_back, self.out()) if word]
            if not words or not left:
                break
            sleep(AGAIN, self.wait)
        self.not_back += words
        return words


def try_back(target):
    """None, or what went wrong."""
    try:
        target.bring_back()
        return None
    except WayFailed as e:
        return f"not brought back: {e}"
    except Exception as e:      # the others are to be brought back, too
        return f"not brought back: {target.name}: {e!r}"
