# SPDX-License-Identifier: Apache-2.0
"""How a target is taken away and brought back.

Nothing here goes through a shell, and only what the plan says is touched. A
target counts as out from just before it is touched until it is back, so that
what its users meet in between can be told from a fault of the site.

What lasts is waited for with wait(seconds): it sleeps, and is true when all
shall stop. Then what takes a target away is given up; what brings one back
keeps its time.
"""

import os
import signal
import subprocess
import tempfile
import threading
import time

from .relay import Relay

DEAD_WITHIN = 10        # seconds a killed process may take to be gone
ASK_EVERY = (0.01, 0.2)     # seconds between questions, first and at last
PID_FILE_LATE = 2       # seconds that clocks may differ about a pid file
SAID = 4096             # bytes that are kept of what a command said


class WayFailed(Exception):
    """A target could not be taken away, or not be brought back."""


class Refused(WayFailed):
    """It was not touched, so there is nothing to bring back."""


class GivenUp(WayFailed):
    """All shall stop: nobody waits for it any more."""


def rest(seconds):
    """A wait() of which nothing is known that could end it."""
    time.sleep(seconds)
    return False


def sleep(seconds, wait):
    """Also when all shall stop."""
    end = time.monotonic() + seconds
    if wait(seconds):
        time.sleep(max(0, end - time.monotonic()))


def wait_for(why_not, within, wait, is_do=False):
    """Ask until nothing is in the way any more: None, or what still is when
    time is up. GivenUp when is_do and all shall stop."""
    end = time.monotonic() + within
    pause, most = ASK_EVERY
    while True:
        why = why_not()
        if why is None or time.monotonic() > end:
            return why
        if is_do and wait(pause):
            raise GivenUp("it was not waited for")
        if not is_do:
            sleep(pause, wait)
        pause = min(2 * pause, most)


def end_group(child):
    """End a command, and what it has begun. One that is another user's may go
    on."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(1)
    except (OSError, subprocess.TimeoutExpired):
        pass


def call(argv, within, what, wait=rest, is_do=False):
    """Run a command to its end: the last of what it said, or WayFailed.

    It says it into a file: what it leaves running may hold a pipe open.
    """
    try:
        said = tempfile.TemporaryFile()
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=said,
                                 stderr=subprocess.STDOUT,
                                 start_new_session=True)
    except OSError as e:
        raise Refused(f"{what}: {argv[0]}: {e.strerror}") from None
    with said:
        try:
            why = wait_for(lambda: f"did not end in {within:g} s"
                           if child.poll() is None else None,
                           within, wait, is_do)
        finally:
            if child.poll() is None:
                end_group(child)
        size = os.fstat(said.fileno()).st_size
        text = os.pread(said.fileno(), SAID, max(0, size - SAID)).decode(
            errors="replace").strip()
    if not why and child.returncode:
        why = f"ended with {child.returncode}" + (
            f": {text.splitlines()[-1][:200]}" if text else "")
    if why:
        raise WayFailed(f"{what}: {argv[0]} {why}")
    return text


def birth_of(pid):
    """When it began, in ticks since the system did; None when it is dead, as
    a zombie is: nobody has asked for its status yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8",
                  errors="replace") as f:
            words = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if words[0] in "ZX" else int(words[19])


def is_older(mtime, birth):
    """Was a file written before a process began?"""
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + \
        birth / os.sysconf("SC_CLK_TCK")
    return mtime + PID_FILE_LATE < began


class Process:
    """What a pid file and a systemd unit have in common. They say why_alive()
    and why_not_back(), None when it is dead and back, and run_start()."""

    def __init__(self, spec, wait):
        self.spec = spec
        self.wait = wait
        self.is_started = False

    def call(self, argv, is_do=False):
        return call(argv, self.spec.start_within, self.spec.name, self.wait,
                    is_do)

    def see(self, why_not, within):
        why = wait_for(why_not, within, self.wait)
        if why:
            raise WayFailed(f"{self.spec.name}: {why}")

    def start(self):
        """What was started well is not started again: it may only be late."""
        end = time.monotonic() + self.spec.start_within
        self.see(self.why_alive, DEAD_WITHIN)
        if not self.is_started:
            self.run_start()
            self.is_started = True
        self.see(self.why_not_back, end - time.monotonic())


class Signals(Process):
    """A process that a pid file names."""

    def __init__(self, spec, wait=rest):
        super().__init__(spec, wait)
        self.killed = None      # (process id, its birth)
        self.stopped = None

    def refuse(self, why):
        raise Refused(f"{self.spec.name}: {self.spec.pid_file}: {why}")

    def read_pid(self):
        """(process id, its birth), or Refused."""
        try:
            with open(self.spec.pid_file, encoding="ascii") as f:
                file = os.fstat(f.fileno())
                pid = int(f.read(32).split()[0])
        except OSError as e:
            self.refuse(e.strerror)
        except (ValueError, IndexError):
            self.refuse("holds no process id")
        if pid <= 1 or pid in (os.getpid(), os.getppid(), os.getpgrp()):
            self.refuse(f"{pid} is not to be touched")
        try:
            birth = birth_of(pid)
            owner = birth and os.stat(f"/proc/{pid}").st_uid
        except OSError as e:
            self.refuse(f"process {pid}: {e.strerror}")
        if birth is None:
            self.refuse(f"process {pid} does not run")
        if file.st_mode & 0o002:
            self.refuse("may be written by everybody")
        if file.st_uid not in (0, os.geteuid(), owner):
            self.refuse(f"belongs to user {file.st_uid}, process {pid} to "
                        f"user {owner}")
        if is_older(file.st_mtime, birth):
            self.refuse(f"is older than process {pid}; touch it if it names "
                        "the right one, and the clock was set since")
        self.judge_program(pid)
        return pid, birth

    def judge_program(self, pid):
        if not self.spec.program:
            return
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                found = f.read().strip()
        except OSError:
            found = ""
        if found != self.spec.program:
            self.refuse(f"process {pid} is '{found}', not "
                        f"'{self.spec.program}'")

    def send(self, pid, number):
        try:
            if self.spec.pid_group:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except OSError as e:
            raise Refused(f"{self.spec.name}: process {pid}: {e.strerror}") \
                from e

    def kill(self):
        self.killed = self.read_pid()
        self.is_started = False
        self.send(self.killed[0], signal.SIGKILL)
        self.see(self.why_alive, DEAD_WITHIN)

    def why_alive(self):
        pid, birth = self.killed
        return f"process {pid} does not die" if birth_of(pid) == birth \
            else None

    def run_start(self):
        self.call(self.spec.start)

    def why_not_back(self):
        """The pid file names a process that lives: who was killed does not."""
        try:
            self.read_pid()
        except Refused as e:
            return str(e).partition(": ")[2]
        return None

    def stop(self):
        """Remembers whom it stopped: the pid file may change."""
        self.stopped, _ = self.read_pid()
        self.send(self.stopped, signal.SIGSTOP)

    def go_on(self):
        """A group is there as long as one of it is, its leader or not. Who
        died meanwhile is not back before somebody has started it."""
        try:
            self.send(self.stopped, signal.SIGCONT)
        except Refused as e:
            if not isinstance(e.__cause__, ProcessLookupError):
                raise
        self.see(self.why_not_back, self.spec.start_within)


class Unit(Process):
    """The same of a systemd unit."""

    def __init__(self, spec, wait=rest):
        super().__init__(spec, wait)
        self.killed = None      # which run of the unit

    def systemctl(self, *words):
        return self.call(["systemctl", *words, self.spec.unit])

    def send(self, name):
        self.systemctl("kill", "--kill-who=all", f"--signal={name}")

    def state(self):
        """(its state, which run of it)"""
        found = dict(line.partition("=")[::2] for line in self.systemctl(
            "show", "--property=ActiveState", "--property=InvocationID")
            .splitlines())
        return found.get("ActiveState"), found.get("InvocationID")

    def active_run(self):
        """Which run of the unit is active. Who is not in service is left as he
        is: he would be started afterwards."""
        try:
            state, run = self.state()
        except WayFailed as e:
            raise Refused(str(e)) from None
        if state not in ("active", "reloading"):
            raise Refused(f"{self.spec.name}: unit {self.spec.unit} is "
                          f"{state}")
        return run

    def kill(self):
        """Never given up half done: nobody could tell whether it is dead."""
        self.killed = self.active_run()
        self.is_started = False
        try:
            self.send("SIGKILL")
        except WayFailed as e:
            if self.state() == ("active", self.killed):
                raise Refused(str(e)) from None
            raise
        self.see(self.why_alive, DEAD_WITHIN)

    def why_alive(self):
        """A start while it ends would do nothing. systemd itself may have
        begun the next run."""
        state, run = self.state()
        return f"unit {self.spec.unit} is still {state}" if \
            run == self.killed and state in (
                "active", "reloading", "deactivating") else None

    def run_start(self):
        # Killed often, it would not be started again.
        self.systemctl("reset-failed")
        self.systemctl("start")

    def why_not_back(self):
        try:
            self.systemctl("is-active", "--quiet")
        except WayFailed:
            return f"unit {self.spec.unit} is not active"
        return None

    def stop(self):
        self.active_run()
        self.send("SIGSTOP")

    def go_on(self):
        self.send("SIGCONT")
        self.see(self.why_not_back, self.spec.start_within)


class Target:
    """A target of the plan, alive. Times are those of time.monotonic()."""

    def __init__(self, spec, wait=rest):
        self.spec = spec
        self.name = spec.name
        self.way = None
        self.spans = []         # [begun, ended or None, way]
        self.relay = None
        self.lock = threading.Lock()
        self.process = (Unit if spec.unit else Signals)(spec, wait)

    def open(self):
        if self.spec.relay:
            relay = Relay(self.spec.relay, self.spec.to, self.spec.delay)
            try:
                relay.start()
            except OSError as e:
                raise WayFailed(f"{self.name}: relay "
                                f"{self.spec.relay[0]}:{self.spec.relay[1]}: "
                                f"{e.strerror}") from None
            self.relay = relay

    def close(self):
        if self.relay:
            self.relay.stop()
            self.relay = None

    def hands(self, way):
        """(what takes it away, what brings it back)"""
        if way not in self.spec.ways:
            raise WayFailed(f"{self.name}: '{way}' is not in the plan")
        if way == "kill":
            return self.process.kill, self.process.start
        if way == "stop":
            return self.process.stop, self.process.go_on
        if way in self.spec.commands:
            do, undo = self.spec.commands[way]
            return (lambda: self.process.call(do, is_do=True),
                    lambda: self.process.call(undo))
        return (lambda: self.relay.behave(way),
                lambda: self.relay.behave("pass"))

    def take_away(self, way):
        do, _ = self.hands(way)
        with self.lock:
            self.way = way
            self.spans.append([time.monotonic(), None, way])
        try:
            do()
        except Refused:
            with self.lock:
                self.spans.pop()
                self.way = None
            raise

    def bring_back(self):
        """Does nothing when it is not out."""
        if self.way is None:
            return
        _, undo = self.hands(self.way)
        undo()
        with self.lock:
            self.spans[-1][1] = time.monotonic()
            self.way = None

    def forget(self, before):
        """Spans that ended before then."""
        with self.lock:
            self.spans = [span for span in self.spans
                          if span[1] is None or span[1] >= before]

    def was_out(self, since):
        """Was it out at any time since then?"""
        with self.lock:
            return bool(self.spans) and (self.spans[-1][1] is None or
                                         self.spans[-1][1] >= since)
