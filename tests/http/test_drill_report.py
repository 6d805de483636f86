# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill's report: it tells all that was met, and harms nobody who
reads it."""

import importlib.util
import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as xml
from types import SimpleNamespace

import pytest

from drill_site import GOOD, PYTHON, ROOT, read

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import judge, report, rounds      # noqa: E402

BEGUN = 1000.0          # when the drill began
EVIL = "\x1b]0;me\x07\x1b[2J\x9b1m\x00\x7f\ufffe\ud800\nverdict: fine <&>"


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
        tally = self.tally
        second = tally.seconds.setdefault(int(begun + took), judge.Second())
        second.requests += 1
        second.slowest = max(second.slowest, took)
        tally.total["requests"] += 1
        for word in marks:
            tally.total[word] += 1
            tally.events.append(judge.Event(BEGUN + begun, took, word, text))

    def lose(self, when, text):
        self.tally.lose([judge.Loss(BEGUN + when, "u1v1", "lost", text)])

    def result(self):
        return report.Result(
            self.plan, 7, "2026-11-27 12:00:00", 60.0, self.rounds,
            list(self.targets.values()), self.tally, self.stopped)


@pytest.fixture
def story(workdir):
    return Story(workdir)


def row(text, begin):
    """The cells of a line of a table."""
    line = re.search(rf"^  {re.escape(begin)}  .*$", text, re.M)
    assert line, text
    return re.split("  +", line[0].strip())


# ---- a round after which the site never was whole

def test_a_site_that_never_was_whole_is_told_so_everywhere(story):
    story.round("m1 kill", 1, 2, 4)
    story.round("m1 kill", 10, 12, None)
    story.round("web kill", 1, 2, 3.5)
    text = report.text(story.result())
    assert row(text, "m1 kill")[:5] == ["m1 kill", "2", "0", "0.0 s", "never"]
    assert row(text, "web kill")[4] == "1.5 s"
    assert [line.split()[5] for line in text.partition("\n  round ")[2]
            .splitlines()[1:]] == ["2.0", "never", "1.5"]
    assert "the site whole 2.0 s after it was over; 1 of 3 rounds never\n" \
        in text


def test_a_site_that_was_whole_after_no_round_is_told_so(story):
    story.round("m1 kill", 1, 2, None)
    assert "at the latest; the site never whole\n" in \
        report.screen(story.result())


def test_what_fails_after_all_is_back_counts_until_the_end(story):
    story.round("m1 kill", 10, 12, None)
    story.request(40, 2.5, "failed", "late")
    story.lose(50, "tea is nothing, must be 1")
    text = report.text(story.result())
    assert row(text, "m1 kill") == ["m1 kill", "1", "2", "32.5 s", "never",
                                    "2.50 s"]


def test_a_round_that_is_whole_ends_then(story):
    story.round("m1 kill", 10, 12, 15)
    story.request(40, 2.5, "failed", "late")
    assert row(report.text(story.result()), "m1 kill")[2] == "0"


# ---- what pages and commands say

@pytest.fixture
def evil(story):
    """Each place where foreign words come in."""
    story.lose(3, f"user is {EVIL}, must be ada")
    story.request(5, 1, "failed", text=f"failing {EVIL}")
    story.request(6, 4, "slow", "late", text=f"slowly {EVIL}")
    story.round("m1 kill", 1, 2, None, [f"not brought back: m1: {EVIL}"])
    story.stopped = f"not brought back: m1: {EVIL}"
    return story.result()


def test_no_control_character_reaches_a_terminal(evil):
    text = report.text(evil)
    for line in text.split("\n"):
        assert not re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff]", line)
    assert "user is \\x1b]0;me\\x07\\x1b[2J" in text
    assert not re.search("^verdict: fine", text, re.M)
    assert text.count("verdict: fine") == 5


def test_the_picture_and_the_page_are_what_their_readers_take(evil, workdir):
    report.write(evil, workdir)
    svg = xml.parse(os.path.join(workdir, "drill.svg")).getroot()
    titles = [t.text for t in svg.iter("{http://www.w3.org/2000/svg}title")]
    assert sum("verdict: fine <&>" in title for title in titles) == 2
    with open(os.path.join(workdir, "drill.html"), encoding="utf-8") as f:
        page = f.read()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ufffe]", page)


# ---- words

@pytest.mark.parametrize("stopped, harm, says", [
    (None, "", "Nothing was lost, no request failed."),
    (None, "failed", "Requests failed."),
    (None, "lost failed", "Users lost something."),
    ("by SIGINT", "", "Stopped early: by SIGINT."),
    ("by SIGINT", "failed", "Stopped early: by SIGINT. Requests failed."),
    ("by SIGINT", "lost", "Stopped early: by SIGINT. Users lost something."),
])
def test_the_verdict_is_of_what_ended_it_and_of_what_users_lost(
        story, stopped, harm, says):
    story.stopped = stopped
    if "failed" in harm:
        story.request(1, 0.1, "failed")
    if "lost" in harm:
        story.lose(1, "tea is nothing, must be 1")
    assert report.screen(story.result()).partition("\n")[0] == says
    assert story.result().status() == (3 if stopped else 1 if harm else 0)


def test_the_summary_counts_all_that_users_met(story):
    for _ in range(3):
        story.tally.count("elsewhere")
    story.request(1, 0.7, "late")
    story.request(2, 4, "late", "slow")
    text = report.screen(story.result())
    assert "2: 0 failed, 2 late (over 0.5 s), 1 slow (over 3 s)\n" in text
    assert "  3 connections refused, the next web server asked instead\n" \
        in text


def test_the_timeline_says_what_its_characters_mean(story):
    story.round("m1 kill", 1, 20, 21)
    story.round("m1 slow", 30, 40, 41)
    story.round("m2 cut", 50, 55, 56)
    story.request(1, 20, "late")
    text = report.screen(story.result())
    legend = text.splitlines()[[line.lstrip()[:2] for line in
                                text.splitlines()].index("+-") + 1]
    assert legend.split() == (
        "K kill, ~ slow, C cut, . late, s slow, r repeated, ? unknown, "
        "! failed or lost").split()
    for mark in ("KKKKK", "~~~~~", "CCCCC", "....."):
        assert mark in text


def test_seconds_that_come_while_it_is_drawn_do_no_harm(story):
    seconds = story.tally.seconds

    def grow(frame, *_):
        """As another thread might, between any two lines."""
        if frame.f_code.co_name == "columns":
            seconds[len(seconds)] = judge.Second()
        return grow

    story.request(0, 0.1)
    sys.settrace(grow)
    try:
        assert "<svg" in report.svg(story.result())
    finally:
        sys.settrace(None)
    assert len(seconds) > 3


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


# ---- make drill

MAKE_DRILL = os.path.join(ROOT, "demo", "drill.py")


@pytest.fixture
def make_drill(monkeypatch):
    monkeypatch.syspath_prepend(os.path.join(ROOT, "demo"))
    spec = importlib.util.spec_from_file_location("make_drill", MAKE_DRILL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_make_drill_counts_the_rounds_of_a_report(story, make_drill):
    story.round("m1 kill", 1, 2, 4)
    story.round("m1 slow", 5, 6, 7)
    story.round("m2 stop", 10, 12, None)
    story.request(1.5, 4, "late", "slow")
    assert make_drill.counts(report.text(story.result()), 0, []) == (2, 1)


@pytest.mark.parametrize("files, is_removed", [
    ([], True), (["drill.txt", "drill.svg"], True),
    (["plan.toml", "web1-error_log"], True), (["thesis.tex"], False)])
def test_make_drill_removes_reports_alone(make_drill, workdir, files,
                                          is_removed):
    folder = os.path.join(workdir, "out")
    os.mkdir(folder)
    for name in files:
        open(os.path.join(folder, name), "w").close()
    why = make_drill.make_empty(folder)
    assert os.listdir(folder) == ([] if is_removed else files)
    assert why is None if is_removed else \
        f"'{folder}' holds no drill's report, but 'thesis.tex'" in why


def test_make_drill_makes_the_folder_of_its_report(make_drill, workdir):
    folder = os.path.join(workdir, "a", "b")
    assert make_drill.make_empty(folder) is None
    assert os.listdir(folder) == []
    link = os.path.join(workdir, "link")
    os.symlink(folder, link)
    assert make_drill.make_empty(link) == f"'{link}' is no folder"


def test_make_drill_says_what_it_does_not_remove(workdir):
    with open(os.path.join(workdir, "thesis.tex"), "w"):
        pass
    modules = os.environ.get("MODULES") or os.path.join(ROOT, "out", "modules")
    done = subprocess.run(
        [PYTHON, MAKE_DRILL, "--modules", modules, "--out", workdir],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False, timeout=60)
    assert done.returncode == 2
    assert done.stdout.startswith(f"drill: --out: '{workdir}' holds no drill")
    assert os.path.exists(os.path.join(workdir, "thesis.tex"))
