# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: thousands of sites made up here. One that keeps what it
has acknowledged is never accused, whatever comes late or never; one that does
not is found out by the next look."""

import os
import random
import sys

import pytest

from drill_site import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import judge, plan as plans  # noqa: E402

SITES = 1500            # of each seed


def step_of(does, add=None, to=None):
    return plans.Step("", does=does, method="", path="", form={}, status=[],
                      idempotent=False, add=add or {}, set=to or {})


CHANGES = [step_of("change", {"tea": 1}), step_of("change", {"tea": -1}),
           step_of("change", to={"note": "x"}),
           step_of("change", to={"note": ""}),
           step_of("change", {"tea": 2}, {"note": "y"})]
NAMES = ["user", "tea", "note"]


class Store:
    """A site's session. held: requests that it may still come to."""

    def __init__(self):
        self.facts = {"user": "ada", "tea": 0, "note": ""}
        self.held = []

    def apply(self, step):
        for name, count in step.add.items():
            self.facts[name] = max(0, self.facts[name] + count)
        self.facts.update(step.set)
        if step.does == "logout":
            self.facts = {"user": "", "tea": 0, "note": ""}

    def come(self, chance):
        """Some of what is held has its effect, in any order."""
        chance.shuffle(self.held)
        for _ in range(chance.randint(0, len(self.held))):
            self.apply(self.held.pop())

    def shown(self):
        return {name: judge.value_of(str(value))
                for name, value in self.facts.items()}


class Story:
    """A user's session on a site, and what the judge makes of it."""

    def __init__(self, chance, late=0.0):
        self.chance = chance
        self.late = late        # how often a request goes without an answer
        self.store = Store()
        self.session = judge.Session("ada", NAMES)
        self.session.apply(step_of("login", to={"user": "{user}"}), True)
        self.losses = []

    def ask(self, step, is_sure=True):
        """One that was sent again left another behind."""
        held = 1 if not is_sure or self.chance.random() < self.late / 2 else 0
        if is_sure:
            self.store.come(self.chance)
            self.store.apply(step)
        self.store.held += [step] * held
        self.session.apply(step, is_sure, held)

    def look(self):
        self.store.come(self.chance)
        self.losses += self.session.see(self.store.shown())

    def live(self, count):
        for _ in range(count):
            self.ask(self.chance.choice(CHANGES),
                     self.chance.random() >= self.late)
            for _ in range(self.chance.randint(0, 2)):
                self.look()

    def leave(self, is_sure):
        self.ask(step_of("logout"), is_sure)
        if is_sure:
            self.store.held = []
        for _ in range(3):
            self.look()


@pytest.mark.parametrize("seed", range(3))
def test_a_site_that_keeps_its_word_is_never_accused(seed):
    chance = random.Random(seed)
    for number in range(SITES):
        story = Story(chance, late=chance.choice([0, 0.1, 0.4, 0.8]))
        story.live(chance.randint(1, 9))
        story.leave(chance.random() < 0.7)
        assert not story.losses, (number, story.losses)


def drop(story):
    """A change that was acknowledged has no effect."""
    story.session.apply(CHANGES[0], True)


def double(story):
    story.ask(CHANGES[0])
    story.store.apply(CHANGES[0])


def forget(story):
    story.ask(CHANGES[4])
    story.store.facts = {"user": "", "tea": 0, "note": ""}


def revive(story):
    story.ask(CHANGES[4])
    kept = dict(story.store.facts)
    story.ask(step_of("logout"))
    story.store.facts = kept


@pytest.mark.parametrize("harm, words", [
    (drop, {"lost", "wrong"}), (double, {"wrong", "lost"}),
    (forget, {"lost"}), (revive, {"revived"})])
def test_a_site_that_breaks_its_word_is_found_out(harm, words):
    chance = random.Random(harm.__name__)
    for number in range(SITES):
        story = Story(chance)
        story.live(chance.randint(1, 9))
        assert not story.losses
        harm(story)
        story.look()
        assert story.losses, number
        assert {one.word for one in story.losses} <= words, number


def test_a_change_that_was_seen_to_have_come_cannot_go():
    chance = random.Random("come")
    for number in range(SITES):
        story = Story(chance)
        story.live(chance.randint(1, 9))
        before = story.store.facts["tea"]
        story.ask(CHANGES[0], False)
        while story.store.facts["tea"] == before:
            story.look()
        story.look()
        assert not story.losses
        story.store.facts["tea"] = before
        story.look()
        assert [one.word for one in story.losses] == ["lost"], number
