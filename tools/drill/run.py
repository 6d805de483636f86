# SPDX-License-Identifier: Apache-2.0
"""
session-ha-drill: rehearse failures on a site, and judge what users lost.

PLAN says what may be killed, stopped, slowed or cut and how it comes back, what
users do, and what each of them must see. Nothing that is not in it is touched.
Everything is brought back at the end, however it ends.

Exit status:
  0  nothing was lost, no request failed
  1  users lost something, or requests failed
  2  wrong usage, or a plan that makes no sense
  3  stopped early, or the site was not whole before the start
"""

import argparse
import datetime
import math
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback

from . import report
from .judge import Tally
from .plan import DAYS, PlanError, read_plan
from .rounds import Conductor, not_whole, rounds_of
from .users import Crew
from .ways import GivenUp, Target, WayFailed

USAGE, STOPPED = 2, 3
TICK = 0.2              # seconds between looks at what may end it
LINE_EVERY = 1          # seconds between progress lines
IDLE_EVERY = 600        # the same between the rounds of --schedule
ROUNDS_KEPT = 500       # of those that --schedule played
ROUNDS_SHOWN = 10000    # by --dry-run
SHORTEST, LONGEST = 0.01, 31536000      # of --seconds


class Stop(Exception):
    """It ends here; the drill knows why."""


def tell(stream, text):
    """Write it; false when nobody is there to read it. Then the rest goes
    nowhere: Python would try again at its end, and fail with that."""
    if stream is None:
        return False
    try:
        stream.write(text)
        stream.flush()
        return True
    except ValueError:
        return False        # it is closed
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False


def has_room(stream):
    """Would a line be taken at once? Not by a pager, or after Ctrl-S: nothing
    is brought back, and no signal heard, by who waits for that."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):
        return True         # it is no file
    return bool(poll.poll(0))


def complain(text):
    tell(sys.stderr, f"session-ha-drill: {text}\n")


class Screen:
    """Progress: one line that changes on a terminal, else a line each time."""

    def __init__(self, is_quiet):
        self.is_quiet = is_quiet
        self.is_terminal = bool(sys.stdout) and sys.stdout.isatty()
        self.told = -math.inf
        self.is_open = False

    def say(self, words, state, is_idle=False):
        """Of a line that is too long, the last words go first. A file gets
        few of them while nothing goes on."""
        now = time.monotonic()
        every = IDLE_EVERY if is_idle and not self.is_terminal else LINE_EVERY
        if self.is_quiet or now - self.told < every:
            return
        self.told = now
        state = report.clean(state)
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 1
            while words and len(words) + 2 + len(state) > width:
                words = words.rpartition(", ")[0]
            line = f"{words}  {state}".strip()[:width]
            self.put(f"\r{line}\x1b[K")
            self.is_open = True
        else:
            self.put(f"{words}  {state}\n")

    def put(self, text):
        if sys.stdout and not has_room(sys.stdout):
            return
        if not tell(sys.stdout, text):
            self.is_quiet = True

    def end(self):
        if self.is_open:
            self.put("\r\x1b[K")
            self.is_open = False


class Drill:
    """One run of the command."""

    def __init__(self, plan, args):
        self.plan = plan
        self.args = args
        self.seed = args.seed
        self.targets = [Target(spec, self.wait) for spec in plan.targets]
        self.tally = Tally()
        self.screen = Screen(args.quiet)
        self.crew = None
        self.rounds = []
        self.stop = None            # why it ends
        self.asked = None           # the signal that ends it
        self.is_idle = False        # between the rounds of --schedule
        self.began = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")

    # ---- what may end it

    def listen(self, hear):
        """To signals. One that is ignored, as by nohup, stays so."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP,
                       signal.SIGQUIT):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, hear)
        signal.signal(signal.SIGTSTP, self.on_suspend)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def on_signal(self, number, frame):
        self.asked = self.asked or f"by {signal.Signals(number).name}"

    def on_suspend(self, number, frame):
        """Not while something is out: it would stay out; nor while the site
        goes through our relays."""
        if not any(t.way or t.relay for t in self.targets):
            os.kill(os.getpid(), signal.SIGSTOP)

    def must_end(self):
        return bool(self.stop or self.asked)

    def look_around(self):
        """Sets self.stop when there is a reason."""
        limit = self.plan.stop_percent
        if self.stop is None and limit is not None:
            share = self.tally.failing_percent()
            if share > limit:
                self.stop = f"{share:.0f} % of requests failed, showed a " \
                            f"loss or wait for longer than " \
                            f"{self.plan.slow:g} s, more than {limit:g} %"
        fault = self.crew and self.crew.fault()
        if self.stop is None and fault:
            self.stop = f"a user broke: {fault!r}"

    def progress(self, state):
        total, words = self.tally.totals(), self.tally.words()
        out = ", ".join(f"{t.name} {t.way}" for t in self.targets if t.way)
        at = time.monotonic() - self.tally.begun
        self.screen.say(
            f"{at:6.0f} s  {total['requests']} requests, {total['failed']} "
            f"failed, {total['slow']} slow, {sum(words.values())} lost",
            "out: " + out if out else state, self.is_idle)

    def wait(self, seconds, state="whole"):
        """Sleep, unless there is a reason to end; then true. state: that of
        the site while nothing is out."""
        end = time.monotonic() + seconds
        while True:
            self.look_around()
            self.progress(state)
            left = end - time.monotonic()
            if self.must_end() or left <= 0:
                return self.must_end()
            time.sleep(min(TICK, left))

    def need(self, why, what):
        """Stop when something is wrong; a reason to end goes before it."""
        if why and not self.must_end():
            self.stop = f"{what}: {why}"
        self.end_if_asked()

    def end_if_asked(self):
        if self.must_end():
            raise Stop

    # ---- what it does

    def need_pages(self, when):
        """Wait until the site says that it is whole; users are not asked."""
        end = time.monotonic() + self.plan.whole_within
        while True:
            why = not_whole(self.plan)
            if why is None or time.monotonic() > end or \
                    self.wait(TICK, f"not whole: {why}"):
                break
        self.need(why, f"the site is not whole {when}")

    def hours_end(self):
        """When rounds must be over; never without --schedule."""
        if not self.args.schedule:
            return math.inf
        return time.monotonic() + seconds_left(self.plan.schedule)

    def play(self, coming, until):
        """Users, and rounds until then (at least one)."""
        self.need_pages("before the start")
        with Crew(self.plan, self.targets, self.tally, self.seed) as crew:
            self.crew = crew
            conductor = Conductor(self.plan, self.targets, crew, self.wait)
            conductor.done = self.rounds
            try:
                self.need(conductor.wait_whole(),
                          "the site is not whole before the start")
                self.play_rounds(conductor, coming, until)
            finally:
                conductor.bring_all_back(1)
                for words in conductor.not_back[:1]:
                    self.stop = self.stop or words
        self.crew = None

    def play_rounds(self, conductor, coming, until):
        while True:
            one = next(coming)
            self.wait(one.calm)
            self.end_if_asked()
            self.need_pages("before a round")
            self.need(conductor.play(one, self.hours_end()),
                      "the site is not whole after a round")
            if time.monotonic() >= until:
                return

    def play_for(self, seconds):
        self.play(rounds_of(self.plan, self.seed),
                  time.monotonic() + seconds)

    def play_for_ever(self):
        """One round at a time, in office hours, with a pause between."""
        coming = rounds_of(self.plan, self.seed)
        while True:
            self.is_idle = True
            while not is_office_hour(self.plan.schedule):
                self.wait(1, "outside of the hours of the plan")
                self.end_if_asked()
            self.is_idle = False
            self.play(coming, 0)
            self.forget()
            for words in self.write(self.result()):
                complain(words)
            if self.tally.losses:
                return              # the verdict says it
            self.is_idle = True
            self.wait(self.plan.schedule["pause"])
            self.end_if_asked()

    def forget(self):
        """What --schedule played long ago."""
        del self.rounds[:-ROUNDS_KEPT]
        before = self.rounds[0].begun if self.rounds else 0
        self.tally.forget(before)
        for target in self.targets:
            target.forget(before)

    def rehearse(self):
        """All of it; everything is back when this returns."""
        try:
            for target in self.targets:
                target.open()
            if self.args.schedule:
                self.play_for_ever()
            else:
                self.play_for(self.args.seconds)
        except (Stop, GivenUp):
            pass
        except WayFailed as e:
            self.stop = self.stop or str(e)
        except Exception as e:      # everything is back; say that it was us
            tell(sys.stderr, traceback.format_exc())
            self.stop = f"by a fault of its own, {e!r}"
        finally:
            self.screen.end()
            self.close()

    def close(self):
        for target in self.targets:
            try:
                target.close()
            except Exception as e:  # nothing of the site is touched by it
                complain(f"{target.name}: {e!r}")

    def run(self):
        """The exit status."""
        self.listen(self.on_signal)
        self.rehearse()
        result = self.result()
        failed = self.write(result)
        self.listen(signal.SIG_DFL)     # all is back: they may end the rest
        tell(sys.stdout, report.screen(result))
        for words in failed:
            complain(words)
        return STOPPED if failed else result.status()

    def result(self):
        """A signal is the way to end --schedule, and no reason that counts."""
        return report.Result(
            self.plan, self.seed, self.began,
            time.monotonic() - self.tally.begun, list(self.rounds),
            self.targets, self.tally,
            self.stop or (None if self.args.schedule else self.asked))

    def write(self, result):
        """Every report that can be. Returns what is to be said of others."""
        words = []
        for path in self.args.report:
            try:
                report.write(result, path)
            except (OSError, ValueError) as e:
                words.append(f"{path}: {getattr(e, 'strerror', None) or e}")
        return words


def is_office_hour(schedule, now=None):
    now = now or datetime.datetime.now()
    return now.weekday() in schedule["days"] and \
        schedule["from"] <= now.hour * 60 + now.minute < schedule["to"]


def seconds_left(schedule, now=None):
    """Of the hours; 0 outside of them."""
    now = now or datetime.datetime.now()
    if not is_office_hour(schedule, now):
        return 0
    return 60 * (schedule["to"] - 60 * now.hour - now.minute) - now.second


# ---- --dry-run --------------------------------------------------------------

def how(spec, way):
    """What would be done, in words."""
    if way in spec.commands:
        do, undo = spec.commands[way]
        return f"{' '.join(do)}; then {' '.join(undo)}"
    if way == "kill":
        return f"SIGKILL to unit {spec.unit}, then start it" if spec.unit \
            else f"SIGKILL to {spec.pid_file}, then {' '.join(spec.start)}"
    if way == "stop":
        return f"SIGSTOP to {spec.unit or spec.pid_file}, then SIGCONT"
    more = f" {spec.delay:g} s each way" if way == "slow" else ""
    return f"relay {spec.relay[0]}:{spec.relay[1]} to {spec.to[0]}:" \
           f"{spec.to[1]}: {way}{more}"


def dry_lines(plan, args):
    yield f"plan {plan.file}, seed {args.seed}"
    yield f"  {plan.count} users on {', '.join(plan.webs)}"
    yield f"  at most {plan.at_once} out at once" + (
        ", never two of one group" if plan.one_of_a_group else "")
    for spec in plan.targets:
        yield f"target {spec.name}, group {spec.group}"
        for way in spec.ways:
            yield f"  {way:<6} {how(spec, way)}"
    if args.schedule:
        hours = plan.schedule
        yield ("schedule: " + " ".join(DAYS[d] for d in hours["days"])
               + f", from {hours['from'] // 60:02}:{hours['from'] % 60:02} to "
               f"{hours['to'] // 60:02}:{hours['to'] % 60:02}, "
               f"{hours['pause']:g} s between rounds")
    yield "rounds, if the site were whole at once:"
    at = 0.0
    for number, one in enumerate(rounds_of(plan, args.seed)):
        at += one.calm
        if number and at > args.seconds:
            return
        if number == ROUNDS_SHOWN:
            yield "  and so on"
            return
        yield (f"  {at:7.1f} s for {one.lasts:4.1f} s  "
               f"{report.name_of(one.faults)}")
        at += one.lasts


def dry_run(plan, args):
    """Prints, and touches nothing."""
    for line in dry_lines(plan, args):
        if not tell(sys.stdout, line + "\n"):
            break
    return 0


# ---- the command line -------------------------------------------------------

def parse(words):
    ask = argparse.ArgumentParser(
        prog="session-ha-drill", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("plan", metavar="PLAN", help="the plan, a TOML file")
    ask.add_argument("--seed", type=int, metavar="N",
                     help="decides which faults come when (default: drawn, "
                          "and printed)")
    ask.add_argument("--seconds", type=float, default=60, metavar="SEC",
                     help="for how long new rounds begin, from "
                          f"{SHORTEST:g} (default 60); --schedule does not "
                          "use it")
    ask.add_argument("--dry-run", action="store_true",
                     help="print what would be done, and touch nothing")
    ask.add_argument("--schedule", action="store_true",
                     help="run until told to end, a round at a time, in the "
                          "hours of the plan")
    ask.add_argument("--report", action="append", default=[], metavar="PATH",
                     help="a file .svg, .txt or .html, or a folder for all "
                          "three; may be given several times")
    ask.add_argument("--quiet", action="store_true",
                     help="no progress, the verdict alone")
    args = ask.parse_args(words)
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(1, 1000000)
    if not SHORTEST <= args.seconds <= LONGEST:
        ask.error(f"--seconds must be from {SHORTEST:g} to {LONGEST}, not "
                  f"'{args.seconds:g}'")
    for path in args.report:
        why = judge_report(path)
        if why:
            ask.error(f"--report: '{path}' {why}")
    return args


def judge_report(path):
    """Why no report can be written there, or None. Folders are made."""
    end = os.path.splitext(path)[1]
    is_file = end in report.FORMS
    if end and not is_file and not os.path.isdir(path):
        return "must end in .svg, .txt or .html, or be a folder"
    if is_file and os.path.isdir(path):
        return "cannot be written: it is a folder"
    folder = os.path.dirname(path) or "." if is_file else path
    while not is_file and not os.path.lexists(folder):
        folder = os.path.dirname(folder.rstrip("/")) or "."
    if not os.path.isdir(folder):
        return f"cannot be written: '{folder}' is no folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"cannot be written: '{folder}' may not be written"
    return None


def judge_schedule(plan):
    for name in ("schedule", "stop_percent"):
        if getattr(plan, name) is None:
            key = "schedule" if name == "schedule" else "faults.stop_percent"
            raise PlanError(f"{plan.file}: {key}: is missing, and --schedule "
                            "needs it")


def main(words):
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    args = parse(words)
    try:
        plan = read_plan(args.plan)
        if args.schedule:
            judge_schedule(plan)
    except PlanError as e:
        print(f"session-ha-drill: {e}", file=sys.stderr)
        return USAGE
    if args.dry_run:
        return dry_run(plan, args)
    return Drill(plan, args).run()
