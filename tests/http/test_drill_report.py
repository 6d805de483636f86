# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill's report: it tells all that was met, and harms nobody who
reads it."""

import os
import stat
import sys
from types import SimpleNamespace

import pytest

from drill_site import GOOD, ROOT, read

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import judge, report, rounds      # noqa: E402

BEGUN = 1000.0          # when the drill began


class Story:
    """A drill of 60 s: what it met is added to it."""

    def __init__(self, folder):
        self.tally = judge.Tally(lambda: BEGUN)
        self.rounds = []
        self.targets = {name: SimpleNamespace(name=name, spans=[])
                        for name in ("m1", "m2", "web")}
        self.plan = read(folder, GOOD)
        self.stopped = None

    def round(self, fault, begun, back, whole, words=()):
        """Times are seconds from the begin; whole may be None."""
        name, way = fault.split()
        self.targets[name].spans.append([BEGUN + begun, BEGUN + back, way])
        self.rounds.append(rounds.Done(
            len(self.rounds) + 1, [(name, way)], BEGUN + begun, BEGUN + back,
            None if whole is None else BEGUN + whole, list(words)))

    def request(self, begun, took, *marks, text="u1v1: look: GET /"):
        self.tally.request(BEGUN + begun, took, marks, text)

    def lose(self, when, text):
        self.tally.lose([judge.Loss(BEGUN + when, "u1v1", "lost", text)])

    def result(self):
        return report.Result(
            self.plan, 7, "2026-11-27 12:00:00", 60.0, self.rounds,
            list(self.targets.values()), self.tally, self.stopped)


@pytest.fixture
def story(workdir):
    return Story(workdir)


# ---- files

@pytest.mark.parametrize("end", [".new", ""])
def test_nobody_is_written_to_through_a_link(story, workdir, end):
    path = os.path.join(workdir, "r.txt")
    victim = os.path.join(workdir, "victim")
    with open(victim, "w") as f:
        f.write("dear to me")
    os.symlink(victim, path + end)
    report.write(story.result(), path)
    with open(victim) as f:
        assert f.read() == "dear to me"
    assert not os.path.islink(path)
    with open(path) as f:
        assert f.read() == report.text(story.result())


def test_a_report_is_there_for_others_as_the_umask_says(story, workdir):
    path = os.path.join(workdir, "r.svg")
    before = os.umask(0o027)
    try:
        report.write(story.result(), path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_a_report_that_cannot_be_written_leaves_nothing(story, workdir):
    path = os.path.join(workdir, "r.txt")
    os.mkdir(path)
    before = sorted(os.listdir(workdir))
    with pytest.raises(OSError):
        report.write(story.result(), path)
    assert sorted(os.listdir(workdir)) == before
