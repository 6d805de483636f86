# SPDX-License-Identifier: Apache-2.0
"""Servers under test: started on free ports, killed and frozen by pid.

A Process ends with the test that started it, also when pytest itself is
killed: the kernel sends it a signal when its parent dies. Each process leads
its own process group, so that kill9() reaches its children too.
"""

import ctypes
import os
import random
import signal
import socket
import subprocess
import time

PORT_FIRST = 20000
PORT_LAST = 32000      # below the range the kernel gives to clients
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)
_reserved = []


def wait_until(condition, timeout=5, what="condition"):
    """Poll until condition() is true; return its value, or fail."""
    deadline = time.monotonic() + timeout
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"no {what} within {timeout} s")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def free_port():
    """A loopback port nobody uses, reserved for the life of this process.

    The reservation is an abstract socket name: it keeps other runs of these
    tests away, also while a killed server waits to be started again.
    """
    for _ in range(1000):
        port = random.randint(PORT_FIRST, PORT_LAST)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0session-ha-test-port-{port}")
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
            continue
        _reserved.append(claim)
        return port
    raise RuntimeError("no free port")


def is_open(port):
    """Does somebody accept connections there?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def stat_of(pid):
    """(state, process group) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return words[0], int(words[2])


def states_of(pid):
    """The state of each of its threads; empty when it is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    stats = [stat_of(f"{pid}/task/{thread}") for thread in threads]
    return [stat[0] for stat in stats if stat]


def is_alive(pid):
    """Does it run? A zombie nobody has waited for does not. A killed process
    is one before the last of its threads has ended, and its ports are closed
    with that."""
    return any(state not in "ZX" for state in states_of(pid))


def is_stopped(pid):
    """Has every thread of it stopped, or ended? A signal reaches a process
    at once, each of its threads when the kernel next schedules it."""
    return all(state in "TtZX" for state in states_of(pid))


def group_of(leader):
    """The pids of a process group."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    stats = ((pid, stat_of(pid)) for pid in pids)
    return [pid for pid, stat in stats if stat and stat[1] == leader]


def servers_account():
    """(user, group) for servers that must not run as root; None if we are
    not root."""
    if os.geteuid() != 0:
        return None
    import grp
    import pwd
    for name in ("www-data", "apache", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return name, grp.getgrgid(entry.pw_gid).gr_name
    raise RuntimeError("root, and no www-data, apache or nobody account")


class Process:
    """One server process and its children."""

    death_signal = signal.SIGKILL

    def __init__(self):
        self.child = None
        self.frozen = False

    @property
    def pid(self):
        return self.child.pid if self.child else None

    def spawn(self, argv, **kw):
        death_signal = self.death_signal

        def die_with_parent():
            _libc.prctl(PR_SET_PDEATHSIG, death_signal)

        self.frozen = False
        self.child = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=die_with_parent, **kw)
        return self.child

    def is_running(self):
        return self.child is not None and self.child.poll() is None

    def signal_group(self, number):
        try:
            os.killpg(self.child.pid, number)
        except ProcessLookupError:
            pass

    def kill9(self):
        """kill -9 the process and all its children; returns when gone."""
        if self.child is None:
            return
        self.signal_group(signal.SIGKILL)
        wait_until(self._group_is_gone, 10, "end of killed processes")
        self.child.wait()
        self.child = None
        self.frozen = False

    def _group_is_gone(self):
        return not any(is_alive(pid) for pid in group_of(self.child.pid))

    def freeze(self):
        """SIGSTOP: connections are still accepted, nothing is answered;
        returns when no thread runs any more."""
        self.signal_group(signal.SIGSTOP)
        wait_until(lambda: all(map(is_stopped, group_of(self.child.pid))),
                   10, "stop of frozen processes")
        self.frozen = True

    def thaw(self):
        self.signal_group(signal.SIGCONT)
        self.frozen = False

    def stop(self):
        """End it politely, then less so."""
        if self.child is None:
            return
        if self.frozen:
            self.thaw()
        if self.is_running():
            self.child.terminate()
            try:
                self.child.wait(timeout=10)
            except subprocess.TimeoutExpired:
                pass
        self.kill9()
