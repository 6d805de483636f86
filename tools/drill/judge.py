# SPDX-License-Identifier: Apache-2.0
"""What a user must see, and what it means when he sees something else.

Sound: what is called a loss cannot happen on a site that keeps what it has
acknowledged. What that rests on:

* A user does one thing at a time, so his facts have one order.
* A request without an answer may have had its effect, may not have had it, or
  may have it later, once: a server that was frozen goes on with what it holds.
  So may one that was sent again, beside the one that was answered.
* Once seen to have had its effect, such a request cannot lose it again.
* An acknowledged log-out is the end: nothing may be there afterwards, whatever
  a server still held.
* A page is held against the facts only when it is the right page, and whole.
"""

import threading
import time
from dataclasses import dataclass

NOTHING = ("", "0")
HELD_MOST = 6           # changes of one fact whose outcome is not known
LATELY = 10             # seconds over which failures are a share of requests
LEAST = 4               # requests that tell something


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
    """The values that one fact may have, and had.

    worlds: pairs of a value and of those changes whose outcome is not known
    that had no effect so far in that world (indices of held). With more than
    HELD_MOST of them nothing is known any more, and nothing is judged until
    the session ends."""

    def __init__(self, name):
        self.name = name
        self.held = []
        self.worlds = {("", frozenset())}
        self.past = {""}
        self.is_over = False

    def reach(self):
        """All worlds in which any of those changes has had its effect by
        now."""
        found, new = set(self.worlds), list(self.worlds)
        while new:
            value, left = new.pop()
            for one in left:
                world = (value_of(self.held[one](value)), left - {one})
                if world not in found:
                    found.add(world)
                    new.append(world)
        self.past |= {value for value, _ in found}
        return found

    def change(self, make, is_sure, held):
        """is_sure: it was acknowledged. held: how many requests for it went
        without an answer."""
        if is_sure:
            self.worlds = {(value_of(make(value)), left)
                           for value, left in self.reach()}
        for _ in range(held):
            self.worlds = {(value, left | {len(self.held)})
                           for value, left in self.worlds}
            self.held.append(make)
            if any(len(left) > HELD_MOST for _, left in self.worlds):
                self.worlds = set()

    def end(self):
        """The session has ended."""
        self.reach()
        self.is_over = True
        self.held, self.worlds = [], {("", frozenset())}

    def see(self, value):
        """None, or (word, text) of what is wrong. Afterwards that is allowed,
        and what was: one page may be old, and the next one not."""
        reached = self.reach()
        seen = {world for world in reached if world[0] == value}
        if seen or not reached:
            self.worlds = seen
            return None
        allowed = {world[0] for world in reached}
        self.worlds = reached | {(value, left) for _, left in self.worlds}
        must = " or ".join(sorted(v or "nothing" for v in allowed))
        text = f"{self.name} is {value or 'nothing'}, must be {must}"
        if allowed == {""} and (self.is_over or value in self.past):
            return "revived", text
        return ("lost" if value in self.past else "wrong"), text


class Session:
    """All facts of one session, from before its log-in to after its end."""

    def __init__(self, user, names):
        self.user = user
        self.facts = {name: Fact(name) for name in names}

    def apply(self, step, is_sure, held=None):
        """A change was acknowledged, or not; so many requests for it went
        without an answer. A log-in is sent without a cookie: one without an
        answer began another session, which nobody sees."""
        held = (0 if is_sure else 1) if held is None else held
        if step.does == "login":
            held = 0
        for name, count in step.add.items():
            self.facts[name].change(
                lambda v, n=count: str(max(0, int(v or 0) + n))
                if (v or "0").isdigit() else v, is_sure, held)
        for name, text in step.set.items():
            value = text.replace("{user}", self.user)
            self.facts[name].change(lambda v, t=value: t, is_sure, held)
        if step.does == "logout":
            for fact in self.facts.values():
                if is_sure:
                    fact.end()
                else:
                    fact.change(lambda v: "", False, held)

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
        self.waiting = {}       # user: since when for an answer
        self.slow = 3.0
        self.least = LEAST

    def expect(self, users, slow):
        """So many users; an answer is slow after so many seconds."""
        self.least = max(LEAST, users)
        self.slow = slow

    def ask(self, user, begun):
        """He waits for an answer; request() says that it is over."""
        with self.lock:
            self.waiting[user] = begun

    def request(self, user, begun, took, marks, text):
        """marks: which of failed, slow, late, repeated, unknown it was."""
        with self.lock:
            self.waiting.pop(user, None)
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

    def failing_percent(self):
        """Of the requests of late, how many failed, showed a loss or wait for
        longer than what is slow; 0 while there are too few to tell."""
        now = self.clock()
        with self.lock:
            last = int(now - self.begun)
            late = [self.seconds[at] for at in range(last - LATELY + 1,
                                                     last + 1)
                    if at in self.seconds]
            stuck = sum(now - begun > self.slow
                        for begun in self.waiting.values())
            requests = sum(s.requests for s in late) + stuck
            bad = stuck + sum(s.failed for s in late) + len(
                {(one.when, one.user) for one in self.losses
                 if one.when > now - LATELY})
        if requests < self.least:
            return 0.0
        return min(100.0, 100.0 * bad / requests)

    def forget(self, before):
        """What was long before; the totals stay."""
        with self.lock:
            self.events = [e for e in self.events if e.when >= before]
            for at in [at for at in self.seconds
                       if at < int(before - self.begun)]:
                del self.seconds[at]

    def harmed(self):
        """Did users lose anything, or did a request fail?"""
        with self.lock:
            return bool(self.losses or self.total["failed"])
