# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: when a round may begin, what ends it, and who is told."""

import datetime
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types

import pytest

from drill_site import (COMMAND, FAULTS, PYTHON, ROOT, hear_signals,
                        fake)       # noqa: F401  a fixture
from process import is_alive, is_stopped, wait_until

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import pages, plan as plans, rounds, run, ways  # noqa: E402

LONG = FAULTS.replace("[0.1, 0.2]", "60")
OFFICE = """stop_percent = 50
[schedule]
days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
from = "00:00"
to = "24:00"
"""


def begin(fake, *words, **more):
    """As users do: with what it prints kept until it is flushed."""
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    return subprocess.Popen([PYTHON, COMMAND, fake.plan_path, *words],
                            **{"stdout": subprocess.PIPE, "text": True,
                               "env": env, "preexec_fn": hear_signals,
                               **more})


def drill_here(fake, *words):
    """A Drill in this process, with the plan as it is."""
    args = run.parse([fake.plan_path, "--quiet", *words])
    return run.Drill(plans.read_plan(args.plan), args)


# ---- signals

def test_the_end_of_a_schedule_hides_no_dead_target(fake):
    text = fake.part("p1", '["kill"]')
    fake.plan(re.sub("start = .*", 'start = ["/bin/false"]', text),
              LONG + OFFICE)
    with begin(fake, "--schedule", "--quiet") as drill:
        wait_until(lambda: not is_alive(fake.pid("p1")), 20, "dead part")
        drill.send_signal(signal.SIGTERM)
        said, _ = drill.communicate(timeout=30)
    assert drill.returncode == 3
    assert "Stopped early: not brought back: p1: /bin/false ended with 1" \
        in said


@pytest.mark.parametrize("reason, status", [
    (None, 0), ("60 % of requests failed", 3), ("a user broke: 1", 3)])
def test_a_signal_at_a_schedule_hides_no_other_reason(fake, reason, status):
    fake.plan(fake.part("p1"), FAULTS + OFFICE)
    drill = drill_here(fake, "--schedule")
    drill.on_signal(signal.SIGTERM, None)
    drill.stop = reason
    assert drill.must_end()
    assert (drill.result().stopped, drill.result().status()) == (reason,
                                                                 status)


def ignore_hangup():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def test_a_signal_that_was_ignored_stays_so(fake):
    fake.plan(fake.part("p1", '["stop"]'), LONG)
    with begin(fake, "--quiet", preexec_fn=ignore_hangup) as drill:
        wait_until(lambda: is_stopped(fake.pid("p1")), 20, "stopped part")
        drill.send_signal(signal.SIGHUP)
        time.sleep(0.5)     # of two that wait, the lower comes first
        drill.send_signal(signal.SIGTERM)
        said, _ = drill.communicate(timeout=30)
    assert "Stopped early: by SIGTERM" in said


def test_it_is_not_suspended_while_something_is_out(fake):
    fake.plan(fake.part("p1", '["stop"]'), LONG)
    with begin(fake, "--quiet", process_group=0) as drill:
        wait_until(lambda: is_stopped(fake.pid("p1")), 20, "stopped part")
        drill.send_signal(signal.SIGTSTP)
        drill.send_signal(signal.SIGINT)
        said, _ = drill.communicate(timeout=30)
    assert drill.returncode == 3
    assert "Stopped early: by SIGINT" in said


def test_it_may_be_suspended_while_nothing_is_out(fake):
    fake.plan(fake.part("p1", '["stop"]'), LONG.replace("pause = 0",
                                                        "pause = 60"))
    with begin(fake, "--quiet", process_group=0) as drill:
        wait_until(lambda: fake.requests, 20, "request")
        drill.send_signal(signal.SIGTSTP)
        wait_until(lambda: is_stopped(drill.pid), 20, "suspended drill")
        drill.send_signal(signal.SIGCONT)
        drill.send_signal(signal.SIGINT)
        drill.communicate(timeout=30)
    assert drill.returncode == 3


# ---- when a round may begin, and when it is over

def test_no_fault_comes_on_a_site_that_fell_ill_by_itself(fake, monkeypatch):
    fake.plan(fake.part("p1"))
    drill = drill_here(fake)
    drill.plan.whole_within = 0.3
    before = fake.pid("p1")

    def seen_whole(conductor):
        fake.is_whole = False

    monkeypatch.setattr(rounds.Conductor, "wait_whole", seen_whole)
    drill.rehearse()
    assert drill.stop == "the site is not whole before a round: " \
        f"{fake.url}/health does not show 'well'"
    assert drill.rounds == [] and drill.targets[0].spans == []
    assert fake.pid("p1") == before and is_alive(before)


def test_no_fault_comes_after_the_hours(fake, monkeypatch):
    fake.plan(fake.part("p1"), FAULTS + OFFICE)
    drill = drill_here(fake, "--schedule")
    monkeypatch.setattr(run, "seconds_left", lambda schedule: 0)
    drill.play(rounds.rounds_of(drill.plan, 1), 0)
    assert (drill.stop, drill.rounds, drill.targets[0].spans) == (None, [],
                                                                  [])


def test_a_round_is_over_when_the_hours_are(fake, monkeypatch):
    fake.plan(fake.part("p1"), LONG + OFFICE)
    drill = drill_here(fake, "--schedule")
    monkeypatch.setattr(run, "seconds_left", lambda schedule: 0.5)
    since = time.monotonic()
    drill.play(rounds.rounds_of(drill.plan, 1), 0)
    assert time.monotonic() - since < 20
    assert len(drill.rounds) == 1 and drill.rounds[0].whole
    assert is_alive(fake.pid("p1")) and not is_stopped(fake.pid("p1"))


@pytest.mark.parametrize("hour, minute, second, left", [
    (8, 59, 59, 0), (9, 0, 0, 8.5 * 3600), (17, 29, 50, 10), (17, 30, 0, 0)])
def test_what_is_left_of_the_hours(hour, minute, second, left):
    schedule = {"days": [0], "from": 540, "to": 1050}
    assert run.seconds_left(schedule, datetime.datetime(
        2026, 11, 23, hour, minute, second)) == left


def test_a_schedule_keeps_no_more_than_it_reports(fake, monkeypatch):
    fake.plan(fake.part("p1", '["stop"]'), FAULTS + OFFICE)
    drill = drill_here(fake, "--schedule")
    monkeypatch.setattr(run, "ROUNDS_KEPT", 2)
    for _ in range(3):
        drill.play(rounds.rounds_of(drill.plan, 1), 0)
        drill.forget()
    assert drill.stop is None
    assert [done.number for done in drill.rounds] == [2, 3]
    assert len(drill.targets[0].spans) == 2
    assert drill.targets[0].spans[0][0] >= drill.rounds[0].begun


# ---- pages that say whether the site is whole

@pytest.fixture
def server():
    """Serves one page, byte by byte: server.page, then server.drip each
    0.05 s."""
    one = types.SimpleNamespace(page=b"", drip=b"", is_over=False)
    one.socket = socket.create_server(("127.0.0.1", 0))
    one.url = f"http://127.0.0.1:{one.socket.getsockname()[1]}/"

    def serve():
        while not one.is_over:
            line, _ = one.socket.accept()
            with line:
                line.recv(65536)
                try:
                    line.sendall(one.page)
                    while one.drip and not one.is_over:
                        line.sendall(one.drip)
                        time.sleep(0.05)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    yield one
    one.is_over = True
    one.socket.close()


def judge(server, see=(), see_not=(), timeout=5):
    check = plans.Check(server.url, [re.compile(s) for s in see],
                        [re.compile(s) for s in see_not])
    return rounds.not_whole(types.SimpleNamespace(checks=[check],
                                                  timeout=timeout))


@pytest.mark.parametrize("page, drip", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
    (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    (b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"x"), (b"HTT", b"")])
def test_a_page_that_drips_holds_nobody_up(server, page, drip):
    server.page, server.drip = page, drip
    begun = time.monotonic()
    why = judge(server, see=["well"], timeout=0.5)
    assert time.monotonic() - begun < 5
    assert why.startswith(server.url + ": ")
    if drip:
        assert why.endswith(": no whole page in 0.5 s")


def test_a_page_that_is_late_is_said_whoever_sees_it_first(server,
                                                           monkeypatch):
    def late(url, timeout):
        raise TimeoutError

    monkeypatch.setattr(rounds, "read_page", late)
    assert judge(server, see=["well"]).endswith(": no whole page in 5 s")


@pytest.mark.parametrize("page, says", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwell",
     "IncompleteRead: IncompleteRead(4 bytes read, 96 more expected)"),
    (b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nwell",
     "IncompleteRead: IncompleteRead(4 bytes read, 96 more expected)"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
     "IncompleteRead: IncompleteRead(0 bytes read)"),
    (b"hello\r\n\r\n", "BadStatusLine: hello"),
    (b"HTTP/1.1 200 OK\r\n\r\nwell", "is longer than 3 bytes")])
def test_what_is_no_whole_page_is_said(server, monkeypatch, page, says):
    server.page = page
    if "longer" in says:
        monkeypatch.setattr(rounds, "PAGE_MOST", 3)
    assert judge(server, see=["well"]).strip() == f"{server.url}: {says}"


@pytest.mark.parametrize("status, see, see_not, says", [
    (b"200 OK", [], ["down"], None), (b"204 OK", [], ["down"], None),
    (b"404 No", [], ["down"], "status 404"),
    (b"503 No", [], ["down"], "status 503"),
    (b"503 No", ["well"], [], None), (b"503 No", ["well"], ["down"], None)])
def test_a_page_that_says_no_is_content_only_with_what_it_shows(
        server, status, see, see_not, says):
    server.page = b"HTTP/1.1 " + status + b"\r\n\r\n" + (
        b"" if status[:3] == b"204" else b"well")
    assert judge(server, see, see_not) == (
        says and f"{server.url}: {says}")


class Drip:
    """An answer that never ends."""

    length = None

    def read1(self, most):
        return b"x"


def test_nobody_goes_on_reading_after_its_time():
    with pytest.raises(TimeoutError):
        pages.read_whole(Drip(), until=time.monotonic() - 1)
    with pytest.raises(pages.TooLong, match="is longer than 9 bytes"):
        pages.read_whole(Drip(), most=9)


# ---- who is told

@pytest.mark.parametrize("columns, line", [
    (120, "12 requests, 0 lost  out: p1 kill"),
    (30, "12 requests  out: p1 kill"), (20, "out: p1 kill"),
    (10, "out: p1 k")])
def test_what_is_out_is_shown_on_a_narrow_terminal_too(
        monkeypatch, capsys, columns, line):
    monkeypatch.setattr(shutil, "get_terminal_size",
                        lambda: os.terminal_size((columns, 24)))
    screen = run.Screen(False)
    screen.is_terminal = True
    screen.say("12 requests, 0 lost", "out: p1 kill")
    assert capsys.readouterr().out == f"\r{line}\x1b[K"


def test_each_second_has_a_line(monkeypatch, capsys):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    screen = run.Screen(False)
    for now[0] in (100.0, 100.5, 101.0, 101.2, 102.1):
        screen.say(f"{now[0]}", "whole")
    assert capsys.readouterr().out == "100.0  whole\n101.0  whole\n" \
        "102.1  whole\n"


def test_a_file_has_few_lines_while_nothing_goes_on(monkeypatch, capsys):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    screen = run.Screen(False)
    for now[0] in range(1000, 2300):
        screen.say(f"{now[0]}", "whole", is_idle=True)
    assert capsys.readouterr().out == "1000  whole\n1600  whole\n" \
        "2200  whole\n"


def test_what_a_page_says_cannot_write_on_a_terminal(capsys):
    run.Screen(False).say("", "not whole: \x1b]0;mine\x07")
    assert capsys.readouterr().out == "  not whole: \\x1b]0;mine\\x07\n"


def test_a_reader_that_takes_nothing_holds_nobody_up(fake):
    """A pager, or Ctrl-S: no progress, and a signal is heard."""
    fake.plan(fake.part("p1", '["stop"]'), LONG)
    out, into = os.pipe()
    os.set_blocking(into, False)
    try:
        while True:
            os.write(into, b"x" * 65536)
    except BlockingIOError:
        os.set_blocking(into, True)
    with begin(fake, stdout=into) as drill:
        os.close(into)
        try:
            wait_until(lambda: is_stopped(fake.pid("p1")), 20, "stopped part")
            time.sleep(2)
            drill.send_signal(signal.SIGTERM)
            wait_until(lambda: not is_stopped(fake.pid("p1")), 20, "part")
            time.sleep(1)
            drill.send_signal(signal.SIGTERM)   # its last words nobody reads
            drill.wait(20)
        finally:
            os.close(out)       # or it would wait for ever, and so would we


def test_names_that_the_terminal_cannot_show_are_no_fault(fake):
    text = fake.part("p1", '["kill"]').replace('"p1"', '"p\xe91"', 1)
    fake.plan(text)
    env = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([PYTHON, COMMAND, fake.plan_path, "--seconds", "1"],
                          env=env, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
    assert "p\\xe91 kill" in done.stdout
    assert is_alive(fake.pid("p1"))


def test_it_is_not_suspended_while_a_relay_is_there(fake, monkeypatch):
    fake.plan(fake.part("p1", '["stop"]'))
    drill = drill_here(fake)
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append(number))
    drill.targets[0].relay = object()
    drill.on_suspend(signal.SIGTSTP, None)
    assert sent == []
    drill.targets[0].relay = None
    drill.on_suspend(signal.SIGTSTP, None)
    assert sent == [signal.SIGSTOP]


def test_a_reader_that_goes_away_ends_nothing(fake, workdir):
    fake.plan(fake.part("p1"))
    out = os.path.join(workdir, "drill.txt")
    with begin(fake, "--seconds", "2", "--report", out,
               stderr=subprocess.PIPE) as drill:
        drill.stdout.readline()
        drill.stdout.close()
        assert drill.stderr.read() == ""
    assert drill.returncode == 0
    assert "Nothing was lost" in open(out).read()


def test_without_a_standard_output_it_is_quiet(fake, workdir):
    fake.plan(fake.part("p1"))
    out = os.path.join(workdir, "drill.txt")
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", PYTHON, COMMAND, fake.plan_path,
         "--seconds", "0.01", "--report", out], check=False,
        stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Nothing was lost" in open(out).read()


def test_a_terminal_that_goes_away_ends_nothing(fake, workdir):
    fake.plan(fake.part("p1", '["stop"]'), FAULTS.replace("[0.1, 0.2]", "3"))
    out = os.path.join(workdir, "drill.txt")
    mine, its = pty.openpty()
    with begin(fake, "--seconds", "0.01", "--report", out, stdin=its,
               stdout=its, stderr=its, start_new_session=True) as drill:
        os.close(its)
        wait_until(lambda: is_stopped(fake.pid("p1")), 20, "stopped part")
        os.close(mine)
        drill.wait(30)
    assert drill.returncode == 0
    assert "Nothing was lost" in open(out).read()


def test_a_report_that_cannot_be_written_costs_no_verdict(fake, workdir):
    fake.plan(fake.part("p1"))
    bad = os.path.join(workdir, "bad")
    good = os.path.join(workdir, "good.txt")
    os.makedirs(os.path.join(bad, "drill.txt"))
    status, said = fake.drill("--seconds", "0.01", "--quiet", "--report", bad,
                              "--report", good)
    assert status == 3
    assert said.startswith("Nothing was lost, no request failed.\n")
    assert said.endswith(f"session-ha-drill: {bad}: Is a directory\n")
    assert "Nothing was lost" in open(good).read()


@pytest.mark.parametrize("path, why", [
    ("x.pdf", "must end in .svg, .txt or .html, or be a folder"),
    ("file/x.svg", "cannot be written: '{}/file' is no folder"),
    ("file/x", "cannot be written: '{}/file' is no folder"),
    ("none/x.svg", "cannot be written: '{}/none' is no folder"),
    ("dir.svg", "cannot be written: it is a folder"),
    ("shut/x.svg", "cannot be written: '{}/shut' may not be written"),
    ("shut", "cannot be written: '{}/shut' may not be written"),
    ("shut/new/er", "cannot be written: '{}/shut' may not be written"),
    ("x.svg", None), ("new/er", None), ("dir.d", None), ("new.d/", None)])
def test_where_no_report_can_be_is_said_at_once(workdir, monkeypatch, path,
                                                why):
    for name in ("shut", "dir.svg", "dir.d"):
        os.mkdir(os.path.join(workdir, name))
    with open(os.path.join(workdir, "file"), "w"):
        pass
    monkeypatch.setattr(os, "access",
                        lambda where, mode: not where.endswith("shut"))
    assert run.judge_report(os.path.join(workdir, path)) == (
        why and why.format(workdir))


def test_a_report_of_an_unknown_form_is_wrong_usage(capsys):
    with pytest.raises(SystemExit) as e:
        run.parse(["plan", "--report", "x.pdf"])
    assert e.value.code == 2
    assert "--report: 'x.pdf' must end in .svg, .txt or .html, or be a " \
        "folder" in capsys.readouterr().err


def test_how_long_rounds_begin_has_limits(capsys):
    for word in ("0", "0.009", "31536001", "nan"):
        with pytest.raises(SystemExit):
            run.parse(["plan", "--seconds", word])
        assert "--seconds must be from 0.01 to 31536000, not " \
            f"'{float(word):g}'" in capsys.readouterr().err
    assert run.parse(["plan", "--seconds", "0.01"]).seconds == 0.01


def test_a_target_that_does_not_close_costs_no_verdict(fake, monkeypatch,
                                                       capsys):
    path = fake.plan(fake.part("p1"))

    def broken(target):
        raise TimeoutError

    monkeypatch.setattr(signal, "signal", lambda *words: None)
    monkeypatch.setattr(ways.Target, "close", broken)
    assert run.main([path, "--quiet", "--seconds", "0.01"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("Nothing was lost")
    assert said.err == "session-ha-drill: p1: TimeoutError()\n"
