# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: what is refused is not touched, and what was taken away is
brought back, whatever its commands do."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import types

import pytest

from drill_site import (ASK, FAULTS, PART, PYTHON, ROOT,
                        fake)       # noqa: F401  a fixture
from process import group_of, is_alive, is_stopped, wait_until

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import plan as plans, rounds, run, ways  # noqa: E402


def target_of(fake, part):
    return ways.Target(plans.read_plan(fake.plan(part)).targets[0])


def with_start(part, argv, more=""):
    """The part, started in another way."""
    return re.sub("start = .*", lambda _: f"start = {json.dumps(argv)}\n"
                  + more, part)


# ---- refused is not touched

def write_old(path, monkeypatch):
    os.utime(path, (1e9, 1e9))


def write_open(path, monkeypatch):
    os.chmod(path, 0o666)


def write_foreign(path, monkeypatch):
    monkeypatch.setattr(os, "fstat", lambda fd: types.SimpleNamespace(
        st_uid=54321, st_mode=0o100644, st_mtime=time.time()))


def write_nothing(path, monkeypatch):
    os.truncate(path, 0)


@pytest.mark.parametrize("spoil, says", [
    (write_old, r"is older than process \d+; touch it if it names the right "
     "one, and the clock was set since"),
    (write_open, "may be written by everybody"),
    (write_foreign, r"belongs to user 54321, process \d+ to user \d+"),
    (write_nothing, "holds no process id"),
])
@pytest.mark.parametrize("way", ["kill", "stop"])
def test_a_pid_file_that_is_not_to_be_trusted_is_refused(
        fake, monkeypatch, spoil, says, way):
    target = target_of(fake, fake.part("p1"))
    pid = fake.pid("p1")
    with monkeypatch.context() as patch:
        spoil(fake.pid_file("p1"), patch)
        with pytest.raises(ways.Refused, match=f"p1.pid: {says}$"):
            target.take_away(way)
    assert is_alive(pid) and not is_stopped(pid)
    assert (target.way, target.spans) == (None, [])
    with open(fake.pid_file("p1"), "w") as f:
        f.write(str(pid))


def test_what_was_refused_is_not_started_again(fake, workdir):
    log = os.path.join(workdir, "log")
    fake.plan(with_start(fake.part("p1", '["kill"]'), ["touch", log],
                         'program = "httpd"'))
    status, said = fake.drill("--seconds", "1", "--quiet")
    assert status == 3
    assert "is 'sleep', not 'httpd'" in said
    assert is_alive(fake.pid("p1")) and not os.path.exists(log)


def test_what_may_not_be_killed_is_not_started_again(fake, monkeypatch):
    target = target_of(fake, fake.part("p1"))

    def refuse(pid, number):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    with pytest.raises(ways.Refused, match="Operation not permitted"):
        target.take_away("kill")
    assert target.way is None and not target.was_out(0)


# ---- what was started is there

LATE = """import os, sys, time
if os.fork():
    sys.exit()
time.sleep(0.7)
"""


def test_a_target_may_be_back_a_little_after_its_start(fake):
    text = fake.part("p1", '["kill"]')
    before = fake.pid("p1")
    fake.plan(with_start(text, [PYTHON, "-c", LATE + PART,
                                fake.pid_file("p1")]))
    status, said = fake.drill("--seconds", "0.01", "--quiet")
    assert status == 0, said
    assert fake.pid("p1") != before and is_alive(fake.pid("p1"))


def test_a_start_that_starts_nothing_is_said_and_not_done_again(fake,
                                                                workdir):
    log = os.path.join(workdir, "log")
    text = fake.part("p1", '["kill"]')
    fake.plan(with_start(text, ["sh", "-c", f"echo x >>{log}"],
                         "start_within = 0.5"))
    status, said = fake.drill("--seconds", "0.01", "--quiet")
    assert status == 3
    assert f"not brought back: p1: {fake.pid_file('p1')}: process " \
           f"{fake.pid('p1')} does not run" in said
    with open(log) as f:
        assert f.read() == "x\n"


# ---- commands

def test_a_start_may_leave_its_output_open(fake, workdir):
    log = os.path.join(workdir, "log")
    text = fake.part("p1", '["kill"]')
    fake.plan(with_start(text, [
        "sh", "-c", f"echo x >>{log}; sleep 300 & echo $! >$0",
        fake.pid_file("p1")], "start_within = 5"))
    status, said = fake.drill("--seconds", "0.01", "--quiet")
    assert status == 0, said
    assert is_alive(fake.pid("p1"))
    with open(log) as f:
        assert f.read() == "x\n"


def test_a_command_that_hangs_is_ended_with_all_that_it_began(workdir):
    path = os.path.join(workdir, "pid")
    with pytest.raises(ways.WayFailed, match="sh did not end in 0.5 s"):
        ways.call(["sh", "-c", f"sleep 300 & echo $! >{path}; wait"], 0.5,
                  "p1")
    with open(path) as f:
        pid = int(f.read())
    wait_until(lambda: not is_alive(pid), 5, "end of what it began")


def test_the_last_of_what_a_command_said_is_told():
    with pytest.raises(ways.WayFailed, match="^p1: sh ended with 3: alas$"):
        ways.call(["sh", "-c", "echo well; echo alas >&2; exit 3"], 5, "p1")


def hanging(fake, workdir, then):
    """A target whose do never ends, and one that would come next."""
    done = os.path.join(workdir, "undone")
    return (f'[[targets]]\nname = "net"\nways = ["bad"]\n'
            f'[targets.commands.bad]\n'
            f'do = {json.dumps(["sh", "-c", then + "; sleep 300"])}\n'
            f'undo = ["touch", "{done}"]\n' + fake.part("p1", '["stop"]')), \
        FAULTS.replace("at_once = 1", "at_once = 2\nstop_percent = 20") + \
        '[[rounds]]\nfaults = ["net bad", "p1 stop"]\n', done


def test_a_command_that_hangs_ends_with_a_signal(fake, workdir):
    began = os.path.join(workdir, "began")
    *plan, undone = hanging(fake, workdir, f"touch {began}")
    args = run.parse([fake.plan(*plan), "--quiet"])
    drill = run.Drill(plans.read_plan(args.plan), args)
    wait, p1 = drill.wait, drill.targets[1]

    def wait_and_ask(*words):
        if os.path.exists(began):
            drill.on_signal(signal.SIGINT, None)
        return wait(*words)

    for target in drill.targets:
        target.process.wait = wait_and_ask
    since = time.monotonic()
    drill.rehearse()
    assert time.monotonic() - since < 15
    assert drill.result().stopped == "by SIGINT"
    assert os.path.exists(undone)
    assert p1.spans == [] and drill.rounds[0].faults == [("net", "bad")]


def test_users_are_watched_while_a_command_hangs(fake, workdir):
    ask = f"sleep 1.5; {PYTHON} -c '{ASK}' {fake.url}/mood/refuses"
    *plan, undone = hanging(fake, workdir, ask)
    fake.plan(*plan)
    status, said = fake.drill("--seconds", "0.01")
    assert status == 3
    assert re.search(r"^Stopped early: \d+ % of requests failed", said, re.M)
    assert re.search(r"^ +\d+ s .* out: net bad$", said, re.M)
    assert os.path.exists(undone)


# ---- all are brought back

def test_a_group_goes_on_without_its_leader(fake):
    text = fake.part("p1", '["stop"]',
                     "pid_group = true\nstart_within = 0.3")
    leader = subprocess.Popen(["sh", "-c", "sleep 300 & wait"],
                              start_new_session=True)
    wait_until(lambda: len(group_of(leader.pid)) == 2, 5, "child")
    child = next(pid for pid in group_of(leader.pid) if pid != leader.pid)
    os.kill(fake.pid("p1"), signal.SIGKILL)
    with open(fake.pid_file("p1"), "w") as f:
        f.write(str(leader.pid))
    target = target_of(fake, text)
    try:
        target.take_away("stop")
        wait_until(lambda: is_stopped(child), 5, "stopped child")
        leader.kill()
        leader.wait()
        with pytest.raises(ways.WayFailed, match="does not run"):
            target.bring_back()
        wait_until(lambda: not is_stopped(child), 5, "child that goes on")
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("more", ["", "pid_group = true\n"])
def test_what_died_while_it_was_stopped_is_back_when_it_was_started(fake,
                                                                    more):
    text = fake.part("p1", '["stop"]', more + "start_within = 0.3")
    os.kill(fake.pid("p1"), signal.SIGKILL)
    part = subprocess.Popen(["sleep", "300"], start_new_session=True)
    with open(fake.pid_file("p1"), "w") as f:
        f.write(str(part.pid))
    target = target_of(fake, text)
    target.take_away("stop")
    part.kill()
    part.wait()
    with pytest.raises(ways.WayFailed, match="does not run"):
        target.bring_back()
    assert target.way == "stop"
    subprocess.run(target.spec.start, check=True)
    target.bring_back()
    assert target.way is None


class Out:
    """A target that is out. fails: what bringing it back raises, in turn."""

    def __init__(self, name, *fails):
        self.name = name
        self.way = "kill"
        self.fails = list(fails)
        self.tries = 0

    def bring_back(self):
        self.tries += 1
        if self.fails:
            raise self.fails.pop(0)
        self.way = None

    def take_away(self, way):
        self.way = way


@pytest.mark.parametrize("until, away", [(60, ["a"]), (0, [])])
def test_no_fault_comes_after_there_is_a_reason_to_end(until, away):
    targets = [Out("a"), Out("b")]
    for target in targets:
        target.way = None
    conductor = rounds.Conductor(
        types.SimpleNamespace(at_once=2, whole_within=0, checks=[]), targets,
        None, lambda *words: targets[0].way == "kill")
    conductor.bring_all_back = lambda: []
    conductor.play(rounds.Round([("a", "kill"), ("b", "kill")], 0, 0),
                   time.monotonic() + until)
    assert [t.name for t in conductor.out()] == away
    assert [d.faults for d in conductor.done] == [[(n, "kill")] for n in away]


def test_one_that_does_not_come_back_keeps_no_other_away(fake, monkeypatch):
    monkeypatch.setattr(rounds, "AGAIN", 0)
    targets = [Out("a", *[OSError(98, "in use")] * 9), Out("b"),
               Out("c", ways.WayFailed("c: late")), Out("d")]
    targets[3].way = None
    conductor = rounds.Conductor(None, targets, None, lambda *words: True)
    words = ["not brought back: a: OSError(98, 'in use')"]
    assert conductor.bring_all_back() == words
    assert [t.tries for t in targets] == [3, 1, 2, 0]
    assert conductor.out() == targets[:1]
    assert conductor.bring_all_back(1) == words
    assert targets[0].tries == 4
    assert conductor.not_back == words * 2
