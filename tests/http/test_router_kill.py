# SPDX-License-Identifier: Apache-2.0
"""Clones die, freeze and come back by a plan made from a seed, under load
through two routers. ROUTER_SECONDS=60 plays for longer, ROUTER_SEED another
plan."""

import collections
import http.client
import itertools
import os
import random
import threading
import time

import pytest

from client import Client
from process import wait_until
from router import OWN, allow_nobody, cookie, shop

SECONDS = float(os.environ.get("ROUTER_SECONDS", "6"))
SEED = int(os.environ.get("ROUTER_SEED", "1"))
USERS = 8


class User(threading.Thread):
    """Sends GET and POST in turn on a kept-alive connection."""

    numbers = itertools.count()

    def __init__(self, server, name):
        super().__init__(daemon=True)
        self.server, self.name = server, name
        self.is_over = False
        self.rounds = 0
        self.told = collections.Counter()   # (method, status or fault)
        self.faults = []

    def run(self):
        client = None
        while not self.is_over:
            client = client or Client(self.server.port)
            for method in ("GET", "PUT", "POST"):
                path = f"/{method}/{next(self.numbers)}"
                body = None if method == "GET" else b"x" * 3000
                try:
                    answer = client.request(
                        method, path, body=body,
                        headers=cookie("ABC"[hash(path) % 3],
                                       session=self.name))
                    what = answer.status
                except (http.client.HTTPException, OSError) as e:
                    what = repr(e)
                self.told[method, what] += 1
                if what != 200:
                    self.faults.append((path, what))
                if what != 200 or answer.header("Connection") == "close":
                    client.close()
                    client = Client(self.server.port)
            self.rounds += 1


def pass_by(users):
    """Until each user is through with what he had begun."""
    seen = {user: user.rounds for user in users}
    wait_until(lambda: all(user.rounds >= seen[user] + 2 for user in users),
               30, "answers to all users")


def kill(clone, users):
    clone.kill9()
    pass_by(users)
    clone.start()


def freeze(clone, users):
    clone.freeze()
    pass_by(users)
    clone.thaw()


@pytest.mark.parametrize("seed", [SEED])
def test_clones_that_die_and_return_fail_no_request_that_may_be_repeated(
        httpd, clones, seed):
    three = clones("A", "B", "C")
    routers = [httpd(shop(three, members="timeout=1 retry=1"), own=OWN,
                     loglevel="warn") for _ in range(2)]
    for server in routers:
        allow_nobody(server)
        server.log.allow("AH")
    plan = random.Random(seed)
    users = [User(routers[i % 2], f"user{i}") for i in range(USERS)]
    for user in users:
        user.start()
    pass_by(users)
    end = time.monotonic() + SECONDS
    events = 0
    while time.monotonic() < end or events < 4:
        event = plan.choice((kill, kill, freeze)) if events > 1 else (
            kill, freeze)[events]
        event(three[plan.choice("ABC")], users)
        pass_by(users)
        events += 1
    for user in users:
        user.is_over = True
    for user in users:
        user.join(30)
    faults = [fault for user in users for fault in user.faults]
    told = sum((user.told for user in users), collections.Counter())
    executed = collections.Counter(
        request["path"] for clone in three.values()
        for request in clone.requests)
    # nobody is dropped without an answer
    assert all(isinstance(what, int) for _, what in faults), faults
    # what may be repeated never fails
    assert not [f for f in faults if not f[0].startswith("/POST/")], faults
    # what must not be repeated is not
    assert not [path for path, times in executed.items()
                if times > 1 and path.startswith("/POST/")]
    assert {what for _, what in faults} <= {502, 503, 504}, faults
    assert told["GET", 200] > 50 and told["POST", 200] > 50, told
