# SPDX-License-Identifier: Apache-2.0
"""What a user must see, and what it means when he sees something else.

Sound: what is called a loss cannot happen on a site that keeps what it has
acknowledged. What that rests on:

* A user does one thing at a time, so his facts have one order.
* A request without an answer may have had its effect, may not have had it, or
  may have it later: after it, both are allowed, until a later change of the
  same fact is acknowledged and the fact is seen.
* A page is held against the facts only when it is the right page.
"""

import threading
import time
from dataclasses import dataclass

NOTHING = ("", "0")


def value_of(text):
    """A count of 0 and what is not there are the same."""
    return "" if text is None or text in NOTHING else text


@dataclass
class Loss:
    """Something that a user saw and should not have seen."""
    when: float
    user: str
    word: str       # lost, revived, wrong
    text: str

    def __str__(self):
        return f"{self.word}: {self.user}: {self.text}"


class Fact:
    """The values that one fact may have, and had."""

    def __init__(self, name):
        self.name = name
        self.may = {""}
        self.late = False       # a change of unknown outcome may still come
        self.past = {""}

    def change(self, make, is_sure):
        after = {value_of(make(v)) for v in self.may}
        self.past |= self.may
        self.may = after if is_sure else after | self.may
        self.late = not is_sure

    def see(self, value):
        """None, or (word, text) of what is wrong."""
        allowed = self.may
        if value in allowed:
            if not self.late:
                self.may = {value}
            return None
        self.past |= allowed
        self.may, self.late = {value}, False
        must = " or ".join(sorted(v or "nothing" for v in allowed))
        text = f"{self.name} is {value or 'nothing'}, must be {must}"
        if allowed == {""}:
            return "revived", text
        return ("lost" if value in self.past else "wrong"), text


class Session:
    """All facts of one session, from before its log-in to after its end."""

    def __init__(self, user, names):
        self.user = user
        self.facts = {name: Fact(name) for name in names}

    def apply(self, step, is_sure):
        """A change was acknowledged, or asked for without an answer."""
        for name, count in step.add.items():
            self.facts[name].change(
                lambda v, n=count: str(max(0, int(v or 0) + n))
                if (v or "0").isdigit() else v, is_sure)
        for name, text in step.set.items():
            value = text.replace("{user}", self.user)
            self.facts[name].change(lambda v, t=value: t, is_sure)
        if step.does == "logout":
            for fact in self.facts.values():
                fact.change(lambda v: "", is_sure)

    def see(self, shown):
        """A page shows these values: the losses in it."""
        found = [self.facts[name].see(value) for name, value in shown.items()]
        now = time.monotonic()
        return [Loss(now, self.user, *one) for one in found if one]


def read_page(facts, text):
    """{fact: value} of a page."""
    found = {fact.name: fact.find.search(text) for fact in facts}
    return {name: value_of(hit.group(1)) if hit else ""
            for name, hit in found.items()}


@dataclass
class Event:
    """A request that did not go as usual."""
    when: float         # when it began
    took: float
    word: str           # failed, slow, late, repeated, unknown
    text: str


class Second:
    """Counts of one second."""

    __slots__ = ("requests", "failed", "slow", "late", "repeated",
                 "unknown", "slowest")

    def __init__(self):
        self.requests = self.failed = self.slow = self.late = 0
        self.repeated = self.unknown = 0
        self.slowest = 0.0


COUNTS = ("requests", "failed", "slow", "late", "repeated", "unknown",
          "elsewhere", "changes", "looks", "visits")


class Tally:
    """Counts what all users met. Users add, the others read copies."""

    def __init__(self, clock=time.monotonic):
        self.lock = threading.Lock()
        self.clock = clock
        self.begun = clock()
        self.total = dict.fromkeys(COUNTS, 0)
        self.seconds = {}
        self.events = []
        self.losses = []
        self.slowest = 0.0

    def request(self, begun, took, marks, text):
        """marks: which of failed, slow, late, repeated, unknown it was."""
        with self.lock:
            at = self.seconds.setdefault(
                int(begun + took - self.begun), Second())
            at.requests += 1
            at.slowest = max(at.slowest, took)
            self.slowest = max(self.slowest, took)
            self.total["requests"] += 1
            for word in marks:
                setattr(at, word, getattr(at, word) + 1)
                self.total[word] += 1
                self.events.append(Event(begun, took, word, text))

    def count(self, what):
        with self.lock:
            self.total[what] += 1

    def lose(self, losses):
        with self.lock:
            self.losses.extend(losses)

    def words(self):
        """{lost, revived, wrong: how many}"""
        with self.lock:
            return {word: sum(loss.word == word for loss in self.losses)
                    for word in ("lost", "revived", "wrong")}

    def totals(self):
        with self.lock:
            return dict(self.total)

    def span(self, begun, ended):
        """(events, losses, slowest) between two times."""
        with self.lock:
            events = [e for e in self.events
                      if e.when + e.took >= begun and e.when <= ended]
            losses = [one for one in self.losses
                      if begun <= one.when <= ended]
            first, last = int(begun - self.begun), int(ended - self.begun)
            slowest = max((s.slowest for at, s in self.seconds.items()
                           if first <= at <= last), default=0.0)
        return events, losses, slowest

    def failing_percent(self, seconds=10, least=20):
        """Of the requests of late, how many failed or showed a loss; 0 while
        there are too few to tell."""
        now = self.clock()
        with self.lock:
            last = int(now - self.begun)
            late = [s for at, s in self.seconds.items()
                    if last - seconds < at <= last]
            requests = sum(s.requests for s in late)
            bad = sum(s.failed for s in late) + sum(
                one.when > now - seconds for one in self.losses)
        return 100.0 * bad / requests if requests >= least else 0.0

    def harmed(self):
        """Did users lose anything, or did a request fail?"""
        with self.lock:
            return bool(self.losses or self.total["failed"])
