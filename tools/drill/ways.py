# SPDX-License-Identifier: Apache-2.0
"""How a target is taken away and brought back.

Nothing here goes through a shell, and only what the plan says is touched. A
target counts as out from just before it is touched until it is back, so that
what its users meet in between can be told from a fault of the site.
"""

import os
import signal
import subprocess
import threading
import time

from .relay import Relay

DEAD_WITHIN = 10        # seconds a killed process may take to be gone


class WayFailed(Exception):
    """A target could not be taken away, or not be brought back."""


def call(argv, within, what):
    """Run a command to its end; WayFailed with what it said."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=within,
                              start_new_session=True, check=False)
    except subprocess.TimeoutExpired:
        raise WayFailed(f"{what}: {argv[0]} did not end in {within:g} s") \
            from None
    except OSError as e:
        raise WayFailed(f"{what}: {argv[0]}: {e.strerror}") from None
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip().split("\n")[-1]
        raise WayFailed(f"{what}: {argv[0]} ended with {done.returncode}"
                        + (f": {said[:200]}" if said else ""))


def is_alive(pid):
    """A zombie is dead: nobody has asked for its status yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8",
                  errors="replace") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Signals:
    """A process that a pid file names."""

    def __init__(self, spec):
        self.spec = spec
        self.stopped = None

    def read_pid(self):
        name = f"{self.spec.name}: {self.spec.pid_file}"
        try:
            with open(self.spec.pid_file, encoding="ascii") as f:
                pid = int(f.read(32).split()[0])
        except OSError as e:
            raise WayFailed(f"{name}: {e.strerror}") from None
        except (ValueError, IndexError):
            raise WayFailed(f"{name}: holds no process id") from None
        if pid <= 1 or pid in (os.getpid(), os.getppid(), os.getpgrp()):
            raise WayFailed(f"{name}: {pid} is not to be touched")
        if not is_alive(pid):
            raise WayFailed(f"{name}: process {pid} does not run")
        self.judge_program(name, pid)
        return pid

    def judge_program(self, name, pid):
        if not self.spec.program:
            return
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                found = f.read().strip()
        except OSError:
            found = ""
        if found != self.spec.program:
            raise WayFailed(f"{name}: process {pid} is '{found}', not "
                            f"'{self.spec.program}'")

    def send(self, pid, number):
        try:
            if self.spec.pid_group:
                os.killpg(pid, number)
            else:
                os.kill(pid, number)
        except OSError as e:
            raise WayFailed(f"{self.spec.name}: process {pid}: {e.strerror}") \
                from None

    def kill(self):
        pid = self.read_pid()
        self.send(pid, signal.SIGKILL)
        end = time.monotonic() + DEAD_WITHIN
        while is_alive(pid):
            if time.monotonic() > end:
                raise WayFailed(f"{self.spec.name}: process {pid} does not "
                                "die")
            time.sleep(0.01)

    def start(self):
        call(self.spec.start, self.spec.start_within, self.spec.name)

    def stop(self):
        """Remembers whom it stopped: the pid file may change."""
        self.stopped = self.read_pid()
        self.send(self.stopped, signal.SIGSTOP)

    def go_on(self):
        if self.stopped and is_alive(self.stopped):
            self.send(self.stopped, signal.SIGCONT)
        self.stopped = None


class Unit:
    """The same of a systemd unit."""

    def __init__(self, spec):
        self.spec = spec

    def systemctl(self, *words):
        call(["systemctl", *words, self.spec.unit], self.spec.start_within,
             self.spec.name)

    def send(self, name):
        self.systemctl("kill", "--kill-who=all", f"--signal={name}")

    def kill(self):
        self.send("SIGKILL")

    def start(self):
        # Killed often, it would not be started again.
        self.systemctl("reset-failed")
        self.systemctl("start")

    def stop(self):
        self.send("SIGSTOP")

    def go_on(self):
        self.send("SIGCONT")


class Target:
    """A target of the plan, alive. Times are those of time.monotonic()."""

    def __init__(self, spec):
        self.spec = spec
        self.name = spec.name
        self.way = None
        self.spans = []         # [begun, ended or None, way]
        self.relay = None
        self.lock = threading.Lock()
        self.process = Unit(spec) if spec.unit else Signals(spec)

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
            within = self.spec.start_within
            return (lambda: call(do, within, self.name),
                    lambda: call(undo, within, self.name))
        return (lambda: self.relay.behave(way),
                lambda: self.relay.behave("pass"))

    def take_away(self, way):
        do, _ = self.hands(way)
        with self.lock:
            self.way = way
            self.spans.append([time.monotonic(), None, way])
        do()

    def bring_back(self):
        """Does nothing when it is not out."""
        if self.way is None:
            return
        _, undo = self.hands(self.way)
        undo()
        with self.lock:
            self.spans[-1][1] = time.monotonic()
            self.way = None

    def was_out(self, since):
        """Was it out at any time since then?"""
        with self.lock:
            return bool(self.spans) and (self.spans[-1][1] is None or
                                         self.spans[-1][1] >= since)
