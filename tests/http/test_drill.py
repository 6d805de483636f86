# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: the rounds, and that it tells a loss from none.
The drill on the demonstration's site is a step of make check itself."""

import datetime
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

from drill_site import PART as PART_OF_SITE
from drill_site import (COMMAND, FAULTS, GOOD, PYTHON, ROOT, fake, hear_signals,
                        read, unused_endpoint)      # noqa: F401  a fixture
from process import is_alive, is_open, is_stopped, wait_until

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import judge, plan as plans, rounds, run, ways  # noqa: E402


# ---- rounds

MANY = GOOD.replace("at_once = 1", "at_once = 2")


def first(plan, seed, count=60):
    return list(itertools.islice(rounds.rounds_of(plan, seed), count))


def test_a_seed_gives_the_same_rounds(workdir):
    plan = read(workdir, MANY)
    assert first(plan, 7) == first(plan, 7)
    assert first(plan, 7) != first(plan, 8)


def test_no_round_has_too_many_or_two_of_a_group(workdir):
    plan = read(workdir, MANY)
    sizes = set()
    for one in first(plan, 1):
        groups = [plan.target(name).group for name, _ in one.faults]
        assert len(set(groups)) == len(groups)
        assert 0.1 <= one.lasts <= 0.2
        sizes.add(len(one.faults))
    assert sizes == {1, 2}


def test_every_fault_comes_before_any_comes_again(workdir):
    plan = read(workdir, GOOD)
    cards = [pair for one in first(plan, 3, 50) for pair in one.faults]
    deck = {(t.name, way) for t in plan.targets for way in t.ways}
    assert len(deck) == 5
    for at in range(0, 50, 5):
        assert set(cards[at:at + 5]) == deck


def test_rounds_of_the_plan_come_in_their_order(workdir):
    plan = read(workdir, GOOD + "[[rounds]]\nfaults = ['web kill']\n"
                "[[rounds]]\nfaults = ['m2 cut']\nlasts = 7\n")
    assert [(r.faults, r.lasts) for r in first(plan, 5, 3)] == [
        ([("web", "kill")], 0.2), ([("m2", "cut")], 7),
        ([("web", "kill")], 0.2)]


@pytest.mark.parametrize("day, hour, minute, is_one", [
    (23, 9, 0, True), (23, 8, 59, False), (24, 17, 29, True),
    (24, 17, 30, False), (25, 12, 0, False), (29, 12, 0, False)])
def test_office_hours_are_those_of_the_plan(workdir, day, hour, minute,
                                            is_one):
    schedule = read(workdir, GOOD).schedule
    now = datetime.datetime(2026, 11, day, hour, minute)
    assert run.is_office_hour(schedule, now) == is_one


# ---- the judge

CHANGES = {
    "in": dict(set={"user": "{user}"}, add={}, does="login"),
    "+1": dict(set={}, add={"tea": 1}, does="change"),
    "-1": dict(set={}, add={"tea": -1}, does="change"),
    "out": dict(set={}, add={}, does="logout"),
}


@pytest.mark.parametrize("story, words", [
    ("in +1 see:ada,1", []),
    ("in +1 see:ada,", ["lost"]),
    ("in +1 see:ada,0", ["lost"]),
    ("in +1 +1 see:ada,1", ["lost"]),
    ("in +1 see:,", ["lost", "lost"]),
    ("in +1 see:ada,2", ["wrong"]),
    ("in see:bob,", ["wrong"]),
    ("in +1 out see:,", []),
    ("in +1 out see:ada,1", ["revived", "revived"]),
    ("in +1 -1 see:ada,1", ["revived"]),
    # a loss is told once
    ("in +1 see:ada, see:ada, +1 see:ada,1", ["lost"]),
    # without an answer: either, then what was seen ...
    ("in +1? see:ada,1", []),
    ("in +1? see:ada,", []),
    ("in +1? see:ada,2", ["wrong"]),
    # ... but it may be late, once, also after others
    ("in +1? see:ada, see:ada,1", []),
    ("in +1? see:ada, +1 see:ada,1 see:ada,2", []),
    ("in +1? see:ada, +1 see:ada,1 see:ada,2 see:ada,3", ["wrong"]),
    ("in +1? +1 see:ada,2", []),
    ("in +1? +1 see:ada,1 see:ada,1", []),
    ("in +1? +1 see:ada,", ["lost"]),
    # ... and what was seen to have come does not go again
    ("in +1? see:ada,1 see:ada,", ["lost"]),
    ("in +1? see:ada,1 +1 see:ada,1", ["lost"]),
    ("in +1? +1? see:ada,1 see:ada,2 see:ada,1", ["lost"]),
    ("in +1? -1? see:ada,1 see:ada, see:ada,1", ["revived"]),
    ("in +1 out? see:, see:ada,1", ["revived", "revived"]),
    # one that was sent again may come twice
    ("in +1+ see:ada,1 see:ada,2", []),
    ("in +1+ see:ada,1 see:ada,3", ["wrong"]),
    ("in +1+ see:ada,", ["lost"]),
    # nothing comes after the end
    ("in +1? out see:,1", ["revived"]),
    # of a log-in without an answer nobody has the cookie
    ("in? see:ada,", ["wrong"]),
    ("in see:ada,3", ["wrong"]),
    # an old page may be followed by a new one
    ("in out see:ada, see:,", ["revived"]),
    ("in +1 see:ada, see:ada,1", ["lost"]),
    ("in +1 see:ada, see:ada,1 see:ada,", ["lost", "lost"]),
    # what was seen to have come is no more to be followed
    ("in " + " ".join(f"+1? see:ada,{n}" for n in range(1, 9)) + " see:ada,",
     ["lost"]),
    # more than can be followed is not judged, until the end
    ("in +1? +1? +1? +1? +1? +1? see:ada,7", ["wrong"]),
    ("in +1? +1? +1? +1? +1? +1? +1? see:ada,9", []),
    ("in +1? +1? +1? +1? +1? +1? +1? out see:,9", ["revived"]),
    ("in +1 out? see:ada,1", []),
    ("in +1 out? see:,", []),
    ("in +1 out? out see:ada,1", ["revived", "revived"]),
])
def test_a_user_must_see_what_was_acknowledged(story, words):
    session = judge.Session("ada", ["user", "tea"])
    found = []
    for word in story.split():
        if word.startswith("see:"):
            user, tea = word[len("see:"):].split(",")
            found += session.see({"user": user, "tea":
                                  judge.value_of(tea)})
            continue
        does, how = re.fullmatch(r"(in|out|[+-]1)([?+]?)", word).groups()
        step = plans.Step("", method="", path="", form={}, status=[],
                          idempotent=False, **CHANGES[does])
        session.apply(step, how != "?", 1 if how else 0)
    assert [loss.word for loss in found] == words


# ---- the command

@pytest.mark.parametrize("words, says", [
    (["no-such-plan"], "no-such-plan: No such file or directory"),
    ([], "required: PLAN"), (["x", "--seconds", "0"], "--seconds must be"),
    (["x", "--report", "/no/such/a.svg"], "'/no/such' is no folder"),
])
def test_wrong_usage_is_status_2(words, says):
    done = subprocess.run([PYTHON, COMMAND, *words], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False)
    assert done.returncode == 2
    assert says in done.stdout


def test_a_dry_run_touches_nothing(fake):
    listen = unused_endpoint()
    fake.plan(fake.part("p1", '["kill", "stop", "cut"]',
                        f'relay = "{listen}"\nto = "127.0.0.1:1"'))
    before = fake.pid("p1")
    status, said = fake.drill("--dry-run", "--seconds", "30", "--seed", "5")
    assert status == 0
    assert "seed 5" in said
    assert f"SIGKILL to {fake.pid_file('p1')}" in said
    for way in ("kill", "stop", "cut"):
        assert re.search(rf"s for .* s  p1 {way}$", said, re.M)
    assert (fake.pid("p1"), fake.requests) == (before, 0)
    assert is_alive(before)
    assert not is_open(int(listen.partition(":")[2]))


def test_a_good_site_loses_nothing_and_all_faults_are_reported(fake,
                                                               workdir):
    fake.plan(fake.part("p1") + fake.part("p2"))
    first_pid = fake.pid("p1")
    out = os.path.join(workdir, "report")
    status, said = fake.drill("--seconds", "2", "--report", out, "--seed",
                              "11")
    assert status == 0, said
    assert said.count("Nothing was lost, no request failed.\n") == 1
    assert re.search(r"^ +\d+ s  \d+ requests, 0 failed", said, re.M)
    assert fake.pid("p1") != first_pid and not is_alive(first_pid)
    for name in ("p1", "p2"):
        assert is_alive(fake.pid(name)) and not is_stopped(fake.pid(name))
    with open(os.path.join(out, "drill.txt")) as f:
        text = f.read()
    svg = xml.parse(os.path.join(out, "drill.svg")).getroot()
    titles = " ".join(t.text for t in svg.iter(
        "{http://www.w3.org/2000/svg}title"))
    with open(os.path.join(out, "drill.html")) as f:
        page = f.read()
    for fault in ("p1 kill", "p1 stop", "p2 kill", "p2 stop"):
        assert re.search(rf"^  {fault} +\d+\.\d ", text, re.M), text
        assert fault in titles and fault in page
    assert "seed       11" in text
    assert not re.search("<script|<image|href|url\\(", page)


@pytest.mark.parametrize("mood, says", [
    ("forgets", r"lost: u\dv\d+\w+: tea is nothing, must be 1"),
    ("revives", r"revived: u\dv\d+\w+: user is u\dv\d+\w+, must be nothing"),
    ("doubles", r"wrong: u\dv\d+\w+: tea is \d, must be \d"),
    ("refuses", r"failed: u\dv\d+\w+: look: GET /: status 503"),
    ("strays", r"failed: u\dv\d+\w+: look: GET /: this is not the page"),
])
def test_a_site_that_does_harm_is_found(fake, mood, says):
    fake.plan(fake.turn(mood), FAULTS.replace("[0.1, 0.2]", "0.7"))
    status, said = fake.drill("--seconds", "1", "--quiet")
    assert status == 1, said
    assert said.startswith("Requests failed." if says.startswith("failed")
                           else "Users lost something.")
    assert re.search(says, said), said


def test_it_stops_when_too_many_users_fail(fake):
    fake.plan(fake.turn("refuses"), FAULTS.replace("[0.1, 0.2]", "60") +
              "stop_percent = 20\n")
    status, said = fake.drill("--seconds", "60")
    assert status == 3
    assert re.search(r"^Stopped early: \d+ % of requests failed, showed a loss "
                     r"or wait for longer than 3 s, more than 20 %", said, re.M)
    assert fake.mood == "good"          # brought back


def test_a_site_that_is_not_whole_is_left_alone(fake):
    fake.plan(fake.part("p1"))
    fake.is_whole = False
    before = fake.pid("p1")
    status, said = fake.drill("--seconds", "1")
    assert status == 3
    assert "the site is not whole before the start: " \
           f"{fake.url}/health does not show 'well'" in said
    assert re.search(r"^ +\d+ s .*  not whole: .* show 'well'$", said, re.M)
    assert not re.search("  whole$", said, re.M)
    assert fake.pid("p1") == before and is_alive(before)
    assert fake.requests == 0


@pytest.mark.parametrize("number", [
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_brings_everything_back(fake, number):
    fake.plan(fake.part("p1", '["stop"]'), FAULTS.replace("[0.1, 0.2]", "60"))
    with subprocess.Popen([PYTHON, COMMAND, fake.plan_path, "--quiet"],
                          stdout=subprocess.PIPE, text=True,
                          start_new_session=True,
                          preexec_fn=hear_signals) as drill:
        wait_until(lambda: is_stopped(fake.pid("p1")), 20, "stopped part")
        drill.send_signal(number)
        said, _ = drill.communicate(timeout=30)
    assert drill.returncode == 3
    assert f"Stopped early: by {number.name}" in said
    assert not is_stopped(fake.pid("p1"))


def test_what_cannot_be_brought_back_is_said(fake):
    text = fake.part("p1", '["kill"]')
    fake.plan(re.sub(r"start = .*", 'start = ["/bin/false"]', text) +
              fake.part("p2", '["stop"]'),
              FAULTS.replace("at_once = 1",
                             "at_once = 2\none_of_a_group = false")
              + '[[rounds]]\nfaults = ["p1 kill", "p2 stop"]\n')
    status, said = fake.drill("--seconds", "1")
    assert status == 3
    assert "not brought back: p1: /bin/false ended with 1" in said
    assert not is_stopped(fake.pid("p2"))


def test_a_fault_of_its_own_brings_everything_back(fake, monkeypatch, capsys):
    path = fake.plan(fake.part("p1", '["stop"]'))

    def broken(*args):
        assert is_stopped(fake.pid("p1"))
        raise RuntimeError("a bug")

    monkeypatch.setattr(signal, "signal", lambda *args: None)
    take_away = ways.Target.take_away
    monkeypatch.setattr(ways.Target, "take_away", lambda target, way: (
        take_away(target, way), wait_until(lambda: is_stopped(
            fake.pid("p1")), 5, "stopped part"), broken()))
    assert run.main([path, "--quiet"]) == 3
    assert "by a fault of its own, RuntimeError('a bug')" in \
        capsys.readouterr().out
    assert not is_stopped(fake.pid("p1"))


LAZY = """import os, sys
count = sys.argv[2] + ".count"
open(count, "a").write("x")
if os.path.getsize(count) <= 3:
    sys.exit("not yet")
"""


def test_what_could_not_be_brought_back_is_tried_again_at_the_end(fake):
    text = fake.part("p1", '["kill"]')
    start = [PYTHON, "-c", LAZY + PART_OF_SITE, fake.pid_file("p1"),
             fake.pid_file("p1")]
    fake.plan(re.sub(r"start = .*",
                     lambda _: f"start = {json.dumps(start)}", text))
    status, said = fake.drill("--seconds", "1")
    assert status == 3
    assert "not brought back: p1: " in said and "not yet" in said
    assert is_alive(fake.pid("p1"))


def test_only_the_program_of_the_plan_is_touched(fake):
    fake.plan(fake.part("p1", '["kill"]', 'program = "httpd"'))
    before = fake.pid("p1")
    status, said = fake.drill("--seconds", "1")
    assert status == 3
    assert f"process {before} is 'sleep', not 'httpd'" in said
    assert is_alive(before)


def test_only_ways_of_the_plan_are_gone(fake):
    plan = plans.read_plan(fake.plan(fake.part("p1", '["stop"]')))
    target = ways.Target(plan.targets[0])
    with pytest.raises(ways.WayFailed, match="'kill' is not in the plan"):
        target.take_away("kill")
    assert is_alive(fake.pid("p1")) and target.spans == []


def test_a_dry_run_ends_though_rounds_take_no_time(fake):
    fake.plan(fake.part("p1"), "[faults]\nlasts = 0\npause = 0\n")
    status, said = fake.drill("--dry-run", "--seconds", "60")
    assert status == 0
    assert said.endswith("\n  and so on\n")
    done = subprocess.run(
        f"'{PYTHON}' '{COMMAND}' '{fake.plan_path}' --dry-run 2>&1 | head -1",
        shell=True, text=True, stdout=subprocess.PIPE, check=True)
    assert done.stdout == said.partition("\n")[0].replace(
        re.search(r"seed \d+", said)[0],
        re.search(r"seed \d+", done.stdout)[0]) + "\n"


def test_a_schedule_needs_hours_and_a_limit(fake):
    fake.plan(fake.part("p1"))
    assert fake.drill("--schedule") == (
        2, f"session-ha-drill: {fake.plan_path}: schedule: is missing, and "
           "--schedule needs it\n")


OFFICE = FAULTS + """stop_percent = 50
[schedule]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "00:00"
to = "24:00"
pause = 1
"""


def test_a_schedule_ends_when_users_lost_something(fake):
    fake.plan(fake.turn("doubles"), OFFICE.replace("[0.1, 0.2]", "0.7"))
    status, said = fake.drill("--schedule", "--quiet")
    assert status == 1
    assert said.startswith("Users lost something.")


def test_a_schedule_runs_until_it_is_told_to_end(fake, workdir):
    fake.plan(fake.part("p1"), OFFICE)
    out = os.path.join(workdir, "drill.txt")
    with subprocess.Popen([PYTHON, COMMAND, fake.plan_path, "--schedule",
                           "--report", out], stdout=subprocess.PIPE,
                          text=True, start_new_session=True) as drill:
        def rounds_played():
            if not os.path.exists(out):
                return 0
            with open(out) as f:
                return int(re.search(r"in (\d+) rounds", f.read())[1])
        wait_until(lambda: rounds_played() >= 2, 30, "second round")
        drill.send_signal(signal.SIGTERM)
        said, _ = drill.communicate(timeout=30)
    assert drill.returncode == 0, said
    assert "Nothing was lost" in said
