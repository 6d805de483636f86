# SPDX-License-Identifier: Apache-2.0
"""Clients that use the same few sessions at the same time."""

import http.client
import random
import threading
import time
import urllib.parse

from judge import TWINS
from record import NEVER
from world import COOKIE

ATTRIBUTES = ("a", "b", "c")
BASE = "base"
ALL = (BASE,) + ATTRIBUTES + TWINS

# of a hundred operations
MIX = (("read", 52), ("write", 24), ("twins", 10), ("remove", 8),
       ("ghost", 4), ("logout", 2))
GHOSTS = 12                   # sessions that are over and still asked for
LONG = 400                    # operations after which a session is logged out


class User:
    """Somebody with one session and several browser windows."""

    def __init__(self):
        self.session = None
        self.lock = threading.Lock()


class Party:
    """Users, clients and the history they make."""

    def __init__(self, world, history, seed, clients, users, start):
        self.world = world
        self.history = history
        self.start = start
        self.users = [User() for _ in range(users)]
        self.ghosts = []
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.faults = []
        self.threads = [threading.Thread(
            target=self._client, args=(i, random.Random(f"{seed}/{i}")),
            daemon=True) for i in range(clients)]

    def now(self):
        return time.monotonic() - self.start

    def begin(self):
        for thread in self.threads:
            thread.start()

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(60)
        if self.faults:
            raise self.faults[0]

    def _client(self, number, draw):
        client = Client(self, number)
        try:
            while not self.ending.is_set():
                client.step(draw)
        except Exception as fault:       # a broken client proves nothing
            self.faults.append(fault)
        finally:
            client.close()

    def over(self, session):
        """A session that nobody uses any more; it is asked for all the same.
        """
        with self.lock:
            for user in self.users:
                if user.session is session:
                    user.session = None
            if session not in self.ghosts:
                self.ghosts.append(session)

    def old_ghosts(self):
        """Take those out that were asked for long enough."""
        with self.lock:
            old = self.ghosts[:-GHOSTS]
            self.ghosts = self.ghosts[-GHOSTS:]
            return old


class Client:
    """One window: a connection to each web server, one request at a time."""

    def __init__(self, party, number):
        self.party = party
        self.number = number
        self.connections = {}

    def close(self):
        for connection in self.connections.values():
            connection.close()
        self.connections.clear()

    def step(self, draw):
        user = draw.choice(self.party.users)
        session = user.session
        host = draw.randrange(2)
        if session is None:
            if user.lock.acquire(blocking=False):
                try:
                    if user.session is None:
                        self.login(user, host)
                finally:
                    user.lock.release()
            else:
                time.sleep(0.01)
            return
        kind = draw.choices([k for k, _ in MIX], [w for _, w in MIX])[0]
        if kind == "remove" and BASE not in session.born.sets:
            kind = "write"               # an empty session is a logout
        if len(session.ops) > LONG:
            kind = "logout"
        if kind == "ghost":
            with self.party.lock:
                ghosts = list(self.party.ghosts)
            if ghosts:
                self.run("read", host, draw.choice(ghosts), {})
            return
        sets = {"read": {}, "logout": {name: None for name in ALL},
                "write": {draw.choice(ATTRIBUTES): ""},
                "twins": {name: "" for name in TWINS},
                "remove": {draw.choice(ATTRIBUTES): None}}[kind]
        op = self.run("write" if kind == "twins" else kind, host, session,
                      sets)
        if op.load == "miss" or (kind == "logout" and op.load == "hit"):
            self.party.over(session)
            if op.created:
                user.session = op.created

    def login(self, user, host):
        op = self.run("login", host, None,
                      {BASE: "", ATTRIBUTES[0]: "", **dict.fromkeys(TWINS,
                                                                    "")})
        if op.created:
            user.session = op.created
        elif op.status != 200:
            time.sleep(0.02)

    def run(self, kind, host, session, sets):
        """One operation; an empty value becomes the operation's own."""
        party = self.party
        op = party.history.begin(kind, self.number, host, session, sets,
                                 party.now())
        try:
            answer = self._request(op, host)
        except (OSError, http.client.HTTPException):
            self.connections.pop(host).close()
            return op
        returned = party.now()
        self._understand(op, answer)
        op.status = answer.status
        op.returned = returned
        return op

    def _request(self, op, host):
        connection = self.connections.get(host)
        if connection is None:
            connection = http.client.HTTPConnection(
                "127.0.0.1", self.party.world.servers[host].port, timeout=60)
            self.connections[host] = connection
        headers = {"X-Op": str(op.number)}
        if op.session:
            headers["Cookie"] = f"{COOKIE}={op.session.cookie}"
        if op.sets:
            headers["X-Do"] = urllib.parse.urlencode(
                {k: v or "" for k, v in op.sets.items()})
        connection.request("GET", "/s/page", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer

    def _understand(self, op, answer):
        op.copies = answer.getheader("X-Copies")
        load = answer.getheader("X-Load")
        if load == "hit":
            op.seen = dict(urllib.parse.parse_qsl(
                answer.getheader("X-Is") or "", keep_blank_values=True))
            op.seen.pop("expiry", None)
        for line in answer.headers.get_all("Set-Cookie") or ():
            name, _, rest = line.partition("=")
            value = rest.split(";")[0]
            if name != COOKIE:
                continue
            op.cookie = "new" if value else "gone"
            if value and load != "hit":
                self.party.history.born(op, value)
        op.load = load


def learn_saves(world, history):
    """Tell operations what their saves achieved."""
    for log in world.saves:
        for number, words in log.take():
            op = history.ops.get(number)
            if op is not None:
                op.save = words


__all__ = ["ALL", "NEVER", "Party", "Client", "learn_saves"]
