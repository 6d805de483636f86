# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: how targets are taken away, and what users make of it."""

import importlib.util
import os
import socket
import sys
import time

import pytest

from drill_site import (Crew, Listener, ROOT, fake,
                        unused_endpoint)      # noqa: F401  a fixture
from process import is_open

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import (judge, plan as plans, relay, report, users,  # noqa: E402
                   ways)


# ---- what a web server held when it was taken away

class Held(Listener):
    """A web server that takes a request and closes without an answer."""

    def talk(self, line):
        with line:
            line.recv(65536)
            self.count += 1


@pytest.mark.parametrize("is_dead, is_idempotent, word, marks", [
    (True, True, "ok", {"repeated": 1}),
    (True, False, "unknown", {"unknown": 1}),
    (False, True, "failed", {"failed": 1}),
    (False, False, "failed", {"failed": 1}),
])
def test_only_a_dead_web_server_may_keep_an_answer(
        fake, is_dead, is_idempotent, word, marks):
    held = Held()
    url = f"http://127.0.0.1:{held.at[1]}"
    plan = plans.read_plan(fake.plan(fake.part("p1")))
    plan.webs = [url, fake.url]
    crew = Crew(plan, url if is_dead else fake.url)
    user = users.User(crew, 2)
    step = plan.steps_that("login")[0]
    step.idempotent = is_idempotent
    assert user.send(step, users.Jar()).word == word
    held.socket.close()
    total = crew.tally.totals()
    assert {name: count for name, count in total.items() if count} == {
        "requests": 1, **marks}
    assert held.count == 1
    assert fake.requests == (1 if word == "ok" else 0)
    assert crew.tally.harmed() == (word == "failed")


class Silent(Listener):
    """A web server that answers so many requests of a connection, then says
    nothing."""

    def __init__(self, answers):
        self.answers = answers
        super().__init__()

    def talk(self, line):
        with line:
            while line.recv(65536):
                self.count += 1
                if self.count <= self.answers:
                    line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n"
                                 b"\r\nthe shop")


@pytest.mark.parametrize("answers", [0, 1])
def test_a_request_without_an_answer_in_time_has_failed(fake, answers):
    silent = Silent(answers)
    plan = plans.read_plan(fake.plan(fake.part("p1")))
    plan.webs = [f"http://127.0.0.1:{silent.at[1]}", fake.url]
    plan.timeout = 0.3
    crew = Crew(plan, None)
    user = users.User(crew, 2)
    for _ in range(answers):
        assert user.send(plan.steps_that("look")[0], users.Jar()).word == "ok"
    answer = user.send(plan.steps_that("look")[0], users.Jar())
    silent.socket.close()
    assert (answer.word, silent.count) == ("failed", answers + 1)
    assert answer.why.endswith("no answer in time")
    assert fake.requests == 0


def test_a_user_is_settled_when_his_old_cookies_are_tried_too(fake):
    plan = plans.read_plan(fake.plan(fake.part("p1")))
    crew = Crew(plan, None)
    user = users.User(crew, 1)
    plan.pause = 0
    for _ in range(2):
        user.visit()
    since = time.monotonic()
    assert len(user.ended) == 2 and not user.has_settled(since)
    session = judge.Session("ada", ["user", "tea"])
    assert user.look(session, users.Jar())
    assert not user.has_settled(since)
    user.try_ended()
    assert not user.has_settled(since)
    user.try_ended()
    assert user.has_settled(since)
    fake.mood = "refuses"       # what could not be tried was not
    since = time.monotonic()
    assert not user.look(session, users.Jar())
    user.try_ended()
    user.try_ended()
    assert not user.has_settled(since)


def test_a_web_server_that_refuses_is_left_for_the_next(fake):
    plan = plans.read_plan(fake.plan(fake.part("p1")))
    plan.webs = [f"http://{unused_endpoint()}", fake.url]
    crew = Crew(plan, None)
    user = users.User(crew, 2)
    assert user.send(plan.steps_that("login")[0], users.Jar()).word == "ok"
    assert crew.tally.totals()["elsewhere"] == 1
    plan.webs = [plan.webs[0]]
    user = users.User(crew, 2)
    assert user.send(plan.steps_that("login")[0], users.Jar()).word == "failed"


# ---- ways

class Echo(Listener):
    """Says again what it is told."""

    def talk(self, line):
        with line:
            while True:
                data = line.recv(65536)
                if not data:
                    return
                line.sendall(data)


@pytest.fixture
def relayed():
    """(relay, its port): what is told there comes back."""
    echo = Echo()
    port = int(unused_endpoint().partition(":")[2])
    one = relay.Relay(("127.0.0.1", port), echo.at, 0.3)
    one.start()
    yield one, port
    one.stop()
    echo.socket.close()
    assert not is_open(port)


def test_a_relay_passes_on_what_is_said(relayed):
    _, port = relayed
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(b"x" * 200000)
        line.shutdown(socket.SHUT_WR)
        got = b"".join(iter(lambda: line.recv(65536), b""))
    assert got == b"x" * 200000


def test_a_slow_relay_is_late_and_keeps_the_order(relayed):
    one, port = relayed
    one.behave("slow")
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        begun = time.monotonic()
        for word in (b"one ", b"two ", b"three"):
            line.sendall(word)
            time.sleep(0.01)
        got = b""
        while len(got) < 13:
            got += line.recv(100)
    assert got == b"one two three"
    assert time.monotonic() - begun >= 0.6      # there and back


def test_a_cut_relay_drops_and_refuses_until_it_is_mended(relayed):
    one, port = relayed
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(b"x")
        assert line.recv(1) == b"x"
        one.behave("cut")
        try:
            assert line.recv(1) == b""
        except ConnectionResetError:
            pass
    assert not is_open(port)
    one.behave("pass")
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(b"y")
        assert line.recv(1) == b"y"


def test_a_relay_that_hangs_gives_later_what_it_was_told(relayed):
    one, port = relayed
    one.behave("hang")
    with socket.create_connection(("127.0.0.1", port), 0.5) as line:
        line.sendall(b"x")
        with pytest.raises(TimeoutError):
            line.recv(1)
        one.behave("pass")
        assert line.recv(1) == b"x"


def test_a_relay_that_hangs_takes_only_so_much(relayed, monkeypatch):
    monkeypatch.setattr(relay, "HELD_MOST", 1024 * 1024)
    one, port = relayed
    one.behave("hang")
    with socket.create_connection(("127.0.0.1", port), 0.5) as line:
        told = 0
        with pytest.raises(TimeoutError):
            while told < 64 * 1024 * 1024:
                told += line.send(b"x" * 65536)
        line.settimeout(20)
        one.behave("pass")
        while told:         # and of what it took, it loses nothing
            told -= len(line.recv(65536))
            assert told >= 0


def put_systemctl(workdir, monkeypatch, script):
    """It is found before the system's."""
    path = os.path.join(workdir, "systemctl")
    with open(path, "w") as f:
        f.write(script)
    os.chmod(path, 0o755)
    monkeypatch.setenv("PATH", workdir + ":" + os.environ["PATH"])


# A unit that is killed takes a while to end, and one that is started to be
# active: so often it is asked. "again": systemd begins the next run itself.
SYSTEMCTL = """#!/bin/sh
cd "$SYSTEMCTL_FOLDER"
case "$*" in
show*)
    [ -e run ] || echo 1 >run
    state=$(head -1 states 2>/dev/null)
    sed -i 1d states 2>/dev/null
    [ "$state" != again ] || { state=active; echo 2 >run; }
    echo "ActiveState=${state:-active}"
    echo "InvocationID=$(cat run)"
    echo show >>log
    exit ;;
*SIGKILL*) echo "$AFTER_KILL" | tr ' ' '\\n' >states ;;
is-active*)
    echo is-active >>log
    [ "$(grep -c is-active log)" -ge 3 ]
    exit ;;
esac
echo "$*" >>log
"""


@pytest.mark.parametrize("way, after, calls", [
    ("kill", "active deactivating failed",
     ["show", "kill --kill-who=all --signal=SIGKILL m1", "show", "show",
      "show", "show", "reset-failed m1", "start m1", "is-active",
      "is-active", "is-active"]),
    ("kill", "deactivating again",
     ["show", "kill --kill-who=all --signal=SIGKILL m1", "show", "show",
      "show", "reset-failed m1", "start m1", "is-active", "is-active",
      "is-active"]),
    ("stop", "", ["show", "kill --kill-who=all --signal=SIGSTOP m1",
                  "kill --kill-who=all --signal=SIGCONT m1", "is-active",
                  "is-active", "is-active"])])
def test_a_unit_is_left_to_systemd(fake, workdir, monkeypatch, way, after,
                                   calls):
    put_systemctl(workdir, monkeypatch, SYSTEMCTL)
    monkeypatch.setenv("SYSTEMCTL_FOLDER", workdir)
    monkeypatch.setenv("AFTER_KILL", after + " failed")
    fake.plan(f'[[targets]]\nname = "m1"\nways = ["{way}"]\nunit = "m1"\n')
    status, said = fake.drill("--seconds", "0.01")
    assert status == 0, said
    with open(os.path.join(workdir, "log")) as f:
        assert f.read().splitlines() == calls


@pytest.mark.parametrize("command, within, says", [
    ('[ -e killed ] && s=deactivating; echo "ActiveState=${s:-active}"; '
     '[ "$1" != kill ] || >killed', 30, "m1: unit m1 is still deactivating"),
    ('[ -e killed ] || echo ActiveState=active; [ "$1" != kill ] || >killed; '
     '[ "$1" != is-active ]', 0.1, "m1: unit m1 is not active")])
def test_a_unit_that_does_not_end_or_begin_is_said(
        fake, workdir, monkeypatch, command, within, says):
    put_systemctl(workdir, monkeypatch,
                  f"#!/bin/sh\ncd {workdir}\n{command}\n")
    monkeypatch.setattr(ways, "DEAD_WITHIN", 0.1)
    plan = plans.read_plan(fake.plan(
        '[[targets]]\nname = "m1"\nways = ["kill"]\nunit = "m1"\n'
        f"start_within = {within}\n"))
    target = ways.Target(plan.targets[0])
    if "deactivating" in command:
        with pytest.raises(ways.WayFailed, match=says):
            target.take_away("kill")
    else:
        target.take_away("kill")
    with pytest.raises(ways.WayFailed, match=says):
        target.bring_back()
    assert target.way == "kill"


@pytest.mark.parametrize("way", ["kill", "stop"])
@pytest.mark.parametrize("command, says", [
    ("echo ActiveState=inactive", "unit m1 is inactive"),
    ("echo no bus; exit 1", "systemctl ended with 1: no bus"),
    ('[ "$1" = show ] || { echo Access denied; exit 4; }; '
     "echo ActiveState=active", "systemctl ended with 4: Access denied")])
def test_a_unit_that_is_not_in_service_is_left_alone(
        fake, workdir, monkeypatch, way, command, says):
    put_systemctl(workdir, monkeypatch, f"#!/bin/sh\necho \"$*\" "
                  f">>{workdir}/log\n{command}\n")
    fake.plan(f'[[targets]]\nname = "m1"\nways = ["{way}"]\nunit = "m1"\n'
              "start_within = 1\n")
    status, said = fake.drill("--seconds", "0.01")
    assert status == 3
    assert says in said
    with open(os.path.join(workdir, "log")) as f:
        assert "start" not in f.read()
    if way == "kill":
        assert "not brought back" not in said
        assert "faults     0 in 0 rounds" in said


# ---- make drill

def test_make_drill_counts_rounds_that_harmed_nobody():
    sys.path.append(os.path.join(ROOT, "demo"))
    spec = importlib.util.spec_from_file_location(
        "demo_drill", os.path.join(ROOT, "demo", "drill.py"))
    demo_drill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo_drill)
    assert report.name_of([("a", "kill"), ("b", "cut")]) == "a kill, b cut"
    head = "  round              at  out  normal  whole  failed  lost  slow\n"
    good = "  a kill, b cut     1.0  2.0     0.0    0.4       0     0     0\n"
    failed = good.replace("  0     0     0", "  3     0     0")
    lost = good.replace("  0     0     0", "  0     1     0")
    never = good.replace("  0.4", "never")
    counts = demo_drill.counts
    assert counts(head + good + good, 0, []) == (2, 0)
    for bad in (failed, lost, never):
        assert counts(head + good + bad, 0, []) == (1, 1)
    assert counts(head + good, 1, []) == (1, 1)
    assert counts(head + good, 0, ["[x:crit]"]) == (1, 1)
    assert counts(head, 0, []) == (0, 1)
