# SPDX-License-Identifier: Apache-2.0
"""Clones die, freeze and come back by a plan made from a seed, under load
through two routers; then what the users were told and what the clones did is
held against the promises P7 and P8. A test plays it for seconds, `make soak`
for hours: nothing here grows with the requests but a byte for each."""

import collections
import http.client
import itertools
import os
import random
import threading
import time

from backend import Clone
from client import Client
from httpd import Httpd
from process import wait_until
from router import OWN, allow_nobody, cookie, shop

USERS = 8
METHODS = ("GET", "PUT", "POST")
KEPT = 100                    # faults that are remembered one by one
LOG_MOST = 50 << 20           # bytes of an access log, which nobody reads


class User(threading.Thread):
    """Sends GET, PUT and POST in turn on a kept-alive connection."""

    def __init__(self, server, name, numbers):
        super().__init__(daemon=True)
        self.server, self.name, self.numbers = server, name, numbers
        self.is_over = False
        self.rounds = 0
        self.told = collections.Counter()   # (method, status or fault)
        self.faults = []

    def run(self):
        client = None
        while not self.is_over:
            client = client or Client(self.server.port)
            for method in METHODS:
                number = next(self.numbers)
                path = f"/{method}/{number}"
                body = None if method == "GET" else b"x" * 3000
                try:
                    answer = client.request(
                        method, path, body=body,
                        headers=cookie("ABC"[number % 3], session=self.name))
                    what = answer.status
                except (http.client.HTTPException, OSError) as e:
                    what = repr(e)
                self.told[method, what] += 1
                if what != 200 and len(self.faults) < KEPT:
                    self.faults.append((path, what))
                if what != 200 or answer.header("Connection") == "close":
                    client.close()
                    client = Client(self.server.port)
            self.rounds += 1


class Executed:
    """How often each POST was executed, a byte each."""

    def __init__(self):
        self.times = bytearray()

    def add(self, clone):
        """What a clone that is dead has done, and forget it there."""
        for request in clone.requests:
            _, method, number = request["path"].split("/")
            if method != "POST":
                continue
            number = int(number)
            if number >= len(self.times):
                self.times.extend(bytes(number + 1000 - len(self.times)))
            self.times[number] = min(255, self.times[number] + 1)
        clone.forget()

    def twice(self):
        return [f"/POST/{number}" for number, times in enumerate(self.times)
                if times > 1]


class Kills:
    """Three clones, two routers, users."""

    def __init__(self, folder):
        self.clones = {i: Clone(i, os.path.join(folder, f"clone{i}"))
                       for i in "ABC"}
        conf = shop(self.clones, members="timeout=1 retry=1")
        self.routers = [Httpd(os.path.join(folder, name), conf, own=OWN,
                              loglevel="warn", name=name)
                        for name in ("router1", "router2")]
        numbers = itertools.count()
        self.users = [User(self.routers[i % 2], f"user{i}", numbers)
                      for i in range(USERS)]
        self.executed = Executed()
        self.events = collections.Counter()

    def start(self):
        for clone in self.clones.values():
            clone.start()
        for router in self.routers:
            router.start()
            allow_nobody(router)
            router.log.allow("AH")

    def stop(self):
        for user in self.users:
            user.is_over = True
        for server in self.routers:
            server.stop()
        for clone in self.clones.values():
            clone.kill9()

    def processes(self):
        """name -> pids; a child that was replaced counts for its server."""
        found = {r.name: [r.pid] + r.children() for r in self.routers}
        found.update({f"clone {c.id}": [c.pid] for c in self.clones.values()
                      if c.is_running()})
        return found

    def pass_by(self):
        """Until each user is through with what he had begun."""
        seen = {user: user.rounds for user in self.users}
        wait_until(lambda: all(user.rounds >= seen[user] + 2
                               for user in self.users),
                   30, "answers to all users")

    def kill(self, clone):
        clone.kill9()
        self.pass_by()
        self.executed.add(clone)
        clone.start()

    def freeze(self, clone):
        clone.freeze()
        self.pass_by()
        clone.thaw()

    def play(self, seed, seconds, between=lambda: None):
        """Events and load, for that long and at least four events."""
        plan = random.Random(seed)
        for user in self.users:
            user.start()
        self.pass_by()
        end = time.monotonic() + seconds
        both = [self.kill, self.freeze]
        while time.monotonic() < end or self.events.total() < 4:
            event = (plan.choice([self.kill, *both])
                     if self.events.total() > 1
                     else both[self.events.total()])
            event(self.clones[plan.choice("ABC")])
            self.pass_by()
            self.events[event.__name__] += 1
            self.cut_logs()
            between()
        for user in self.users:
            user.is_over = True
        for user in self.users:
            user.join(30)
        if any(user.is_alive() for user in self.users):
            raise RuntimeError("a user still waits for an answer")
        for clone in self.clones.values():
            clone.kill9()
            self.executed.add(clone)

    def cut_logs(self):
        for router in self.routers:
            path = os.path.join(router.dir, "access_log")
            if os.path.getsize(path) > LOG_MOST:
                os.truncate(path, 0)

    # ---- the verdict

    @property
    def told(self):
        return sum((user.told.copy() for user in self.users),
                   collections.Counter())

    def broken(self):
        """What must not be, as lines."""
        lines = []
        for (method, what), count in self.told.items():
            if not isinstance(what, int):
                lines.append(f"{method}: {count} had no answer: {what}")
            elif what != 200 and method != "POST":
                lines.append(f"{method}: {count} may be repeated, and were "
                             f"told {what}")
            elif what not in (200, 502, 503, 504):
                lines.append(f"{method}: {count} were told {what}")
        if lines:
            lines += [f"{path}: {what}" for user in self.users
                      for path, what in user.faults][:20]
        twice = self.executed.twice()
        if twice:
            lines.append(f"{len(twice)} executed twice: {twice[:20]}")
        for method in METHODS:
            if self.told[method, 200] <= 50:
                lines.append(f"only {self.told[method, 200]} {method} were "
                             "answered")
        return lines

    def complaints(self):
        return [f"{r.name}: {line}" for r in self.routers
                for line in r.log.unannounced()]

    def summary(self):
        told = self.told
        failed = sum(n for (_, what), n in told.items() if what != 200)
        return (f"{self.events['kill']} killed, {self.events['freeze']} "
                f"frozen, {told.total()} requests, {failed} POST refused or "
                "lost and told so" if not self.broken_so_far(told) else
                f"{told.total()} requests, BROKEN")

    @staticmethod
    def broken_so_far(told):
        return any(what != 200 and (method != "POST"
                                    or not isinstance(what, int))
                   for method, what in told)
