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

from drill_site import (PART, PYTHON, ROOT,
                        fake)       # noqa: F401  a fixture
from process import group_of, is_alive, is_stopped, wait_until

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import plan as plans, ways  # noqa: E402


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
    (write_old, r"is older than process \d+"),
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


# ---- all are brought back

def test_a_group_goes_on_without_its_leader(fake):
    text = fake.part("p1", '["stop"]', "pid_group = true")
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
        target.bring_back()
        wait_until(lambda: not is_stopped(child), 5, "child that goes on")
        os.kill(child, signal.SIGKILL)
        wait_until(lambda: not is_alive(child), 5, "dead child")
        target.process.go_on()      # nobody is left: nothing to do
    finally:
        if is_alive(child):
            os.kill(child, signal.SIGKILL)
