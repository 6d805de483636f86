# SPDX-License-Identifier: Apache-2.0
"""What happened: operations on sessions, as their clients saw them."""

import itertools
import threading

NEVER = float("inf")


class Session:
    """One session, known by its cookie. Several clients use it at once."""

    def __init__(self, number, cookie, born):
        self.number = number
        self.cookie = cookie
        self.born = born           # the Op whose answer brought the cookie
        self.ops = []


class Op:
    """One request: a read, and perhaps a write, of one session.

    returned is NEVER without an answer: what it asked for may happen at any
    time, or not at all.
    """

    def __init__(self, number, kind, client, server, session, sets, invoked):
        self.number = number
        self.kind = kind           # login, write, remove, read, logout
        self.client = client
        self.server = server
        self.session = session     # whose cookie was sent, or None
        self.sets = sets           # attribute to value, None removes
        self.invoked = invoked
        self.returned = NEVER
        self.status = None
        self.load = None           # SESSION_HA_LOAD
        self.copies = None         # SESSION_HA_COPIES
        self.seen = None           # attributes before the change; on a hit
        self.cookie = "kept"       # kept, gone, new
        self.created = None        # the Session that began with this
        self.save = None           # SESSION_HA_SAVE; None: never heard of

    def is_full(self, words, replicas):
        return words == f"{replicas}/{replicas}"

    def __str__(self):
        end = "   never" if self.returned == NEVER else \
            f"{self.returned:8.3f}"
        session = self.session.number if self.session else "-"
        text = (f"{self.invoked:8.3f} {end} op {self.number} client "
                f"{self.client} httpd {self.server + 1} session {session} "
                f"{self.kind} {self.sets or ''} -> {self.status} load="
                f"{self.load} {self.copies} save={self.save}")
        if self.created:
            text += f" began session {self.created.number}"
        if self.cookie != "kept":
            text += f" cookie {self.cookie}"
        if self.seen is not None:
            text += f" saw {self.seen}"
        return text


class History:
    """All of it. Several threads add."""

    def __init__(self, replicas):
        self.replicas = replicas
        self.lock = threading.Lock()
        self.numbers = itertools.count(1)
        self.ops = {}              # by number, of sessions not yet judged
        self.sessions = []         # likewise
        self.count = 0
        self.session_count = 0
        self.events = []           # (time, text): faults and restarts
        self.disturbed = []        # (from, to): more failed than planned

    def begin(self, kind, client, server, session, sets, now):
        with self.lock:
            op = Op(next(self.numbers), kind, client, server, session,
                    dict(sets), now)
            for name, value in op.sets.items():
                if value == "":
                    op.sets[name] = f"w{op.number}"
            self.ops[op.number] = op
            self.count += 1
            if session:
                session.ops.append(op)
            return op

    def born(self, op, cookie):
        with self.lock:
            self.session_count += 1
            session = Session(self.session_count, cookie, op)
            op.created = session
            session.ops.append(op)
            self.sessions.append(session)
            return session

    def forget(self, session):
        """A session that was judged and is used no more."""
        with self.lock:
            if session in self.sessions:
                self.sessions.remove(session)
            for op in session.ops:
                self.ops.pop(op.number, None)

    def event(self, now, text):
        with self.lock:
            self.events.append((now, text))

    def is_excused(self, begin, end):
        return any(begin < to and end > at for at, to in self.disturbed)
