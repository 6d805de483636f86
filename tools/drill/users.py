# SPDX-License-Identifier: Apache-2.0
"""Virtual users: each logs in, changes and looks, logs out, and comes again.

They see the site as through a load balancer: a connection that is refused goes
to the next web server at once. A request that a web server held when the drill
took that server away has an outcome that nobody can know; sent again, on the
next one, is only what does no harm twice.
"""

import errno
import http.client
import http.cookiejar
import random
import resource
import secrets
import select
import socket
import ssl
import threading
import time
import urllib.parse

from .judge import Session, read_page
from .pages import TooLong, read_whole

REMEMBERED = 3          # ended sessions that a user tries to use again
IDLE_MOST = 1           # seconds; a server closes idle connections some day


class Jar(dict):
    """Cookies of one session: name to value."""

    def header(self):
        return "; ".join(f"{k}={v}" for k, v in self.items())

    def take(self, headers):
        for text in headers:
            first, *rest = [part.strip() for part in text.split(";")]
            name, _, value = first.partition("=")
            if not value or has_expired(rest):
                self.pop(name, None)
            else:
                self[name] = value


def has_expired(attributes):
    """Do these attributes of a cookie take it away? Max-Age goes first."""
    found = {}
    for one in attributes:
        name, _, value = one.partition("=")
        found[name.strip().lower()] = value.strip()
    if "max-age" in found:
        return found["max-age"].lstrip("-").isdigit() and \
            int(found["max-age"]) <= 0
    until = http.cookiejar.http2time(found.get("expires", ""))
    return until is not None and until <= time.time()


class Answer:
    """How a request ended: "ok", "failed" or "unknown". held: how many times
    it was sent without an answer."""

    def __init__(self, word, text="", why="", held=0):
        self.word = word
        self.text = text
        self.why = why
        self.held = held


class Broken(Exception):
    """A connection that was made ended without a whole answer."""


class Late(Broken):
    """No answer came in time."""


class Ended:
    """What a user remembers of a session after he logged out."""

    def __init__(self, jar, session):
        self.jar = jar
        self.session = session
        self.tried = time.monotonic()       # when he last tried to use it


class Timed:
    """A socket whose reads end at a time, however slowly bytes come."""

    until = None

    def recv_into(self, *args, **more):
        if self.until is not None:
            left = self.until - time.monotonic()
            if left <= 0:
                raise TimeoutError("no time is left")
            self.settimeout(left)
        return super().recv_into(*args, **more)


class PlainSocket(Timed, socket.socket):
    """For http."""


class TlsSocket(Timed, ssl.SSLSocket):
    """For https."""


class Web:
    """One user's connection to one web server, kept alive."""

    def __init__(self, url, timeout):
        parts = urllib.parse.urlsplit(url)
        self.url = url
        self.timeout = timeout
        self.used = 0.0         # when last
        self.is_measured = True     # did it say how long the answer is?
        if parts.scheme == "https":
            context = ssl.create_default_context()
            context.sslsocket_class = TlsSocket
            self.line = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=timeout, context=context)
        else:
            self.line = http.client.HTTPConnection(
                parts.hostname, parts.port, timeout=timeout)

    def lives(self):
        """Readable and nothing asked: it has ended."""
        sock = self.line.sock
        if sock is None or time.monotonic() > self.used + IDLE_MOST:
            return False
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return not poll.poll(0)

    def connect(self):
        """A connection that lives; OSError when there is none to be had.
        Returns whether it was used before."""
        if self.lives():
            return True
        self.line.close()
        try:
            self.line.connect()
        except OSError:
            self.line.close()
            raise
        if not isinstance(self.line.sock, Timed):
            self.line.sock = PlainSocket(fileno=self.line.sock.detach())
        return False

    def exchange(self, method, path, body, headers):
        """(status, headers, text), or Broken."""
        self.line.sock.settimeout(self.timeout)
        self.line.sock.until = time.monotonic() + self.timeout
        try:
            self.line.request(method, path, body, headers)
            answer = self.line.getresponse()
            text = read_whole(answer).decode("utf-8", "replace")
            self.is_measured = answer.length is not None or answer.chunked
            answer.close()      # or the connection cannot be used again
        except Exception as e:
            self.line.close()
            raise what_broke(e) from None
        self.used = time.monotonic()
        return answer.status, answer.headers, text


def what_broke(e):
    """What to raise in the place of what went wrong with an answer."""
    if isinstance(e, TimeoutError):
        return Late("no answer in time")
    if isinstance(e, TooLong):
        return Broken(f"an answer that {e}")
    if isinstance(e, http.client.IncompleteRead):
        return Broken("closed in the middle of an answer")
    if isinstance(e, (OSError, http.client.HTTPException)):
        return Broken(f"closed without an answer ({type(e).__name__})")
    return e


class User(threading.Thread):
    """One of them. crew: what all share."""

    def __init__(self, crew, number):
        super().__init__(daemon=True, name=f"user {number}")
        self.crew = crew
        self.plan = crew.plan
        self.tally = crew.tally
        self.number = number
        self.random = random.Random(f"{crew.seed} user {number}")
        self.webs = [Web(url, self.plan.timeout) for url in self.plan.webs]
        self.at = number % len(self.webs)
        self.visit_number = 0
        self.settled = 0.0      # when a look began that showed all copies
        self.ended = []         # the latest last
        self.fault = None
        self.name_now = ""

    # ---- one request

    def send(self, step, jar):
        """Send it, count it, judge its status."""
        begun = time.monotonic()
        marks = []
        self.tally.ask(self.number, begun)
        answer = self.try_webs(step, jar, begun, marks)
        took = time.monotonic() - begun
        if took > self.plan.slow:
            marks.append("slow")
        if took > self.plan.usual:
            marks.append("late")
        if answer.word != "ok":
            marks.append(answer.word)
        text = f"{self.name_now}: {step.name}: {step.method} {step.path}"
        if answer.why:
            text += ": " + answer.why
        self.tally.request(self.number, begun, took, marks, text)
        return answer

    def next_web(self, e):
        """Nobody takes a connection there; that may be the drill's fault."""
        if e.errno in (errno.EMFILE, errno.ENFILE):
            raise e
        self.tally.count("elsewhere")
        self.at = (self.at + 1) % len(self.webs)
        return f"no web server takes a connection ({e.strerror or e})"

    def try_webs(self, step, jar, begun, marks):
        """Each twice at most: where something else takes connections and
        closes them, as a load balancer does, it would never end."""
        refused = held = 0
        why = "no web server answers"
        while refused < len(self.webs) and held < 2 * len(self.webs):
            web = self.webs[self.at]
            try:
                used = web.connect()
            except OSError as e:
                refused += 1
                why = self.next_web(e)
                continue
            try:
                found = web.exchange(step.method, step.path,
                                     *self.body(step, jar))
                if not web.is_measured and self.crew.was_out(web.url, begun):
                    raise Broken("an answer without a length, which may have "
                                 "ended too early")
                answer = self.judge_answer(step, found, jar)
                answer.held += held
                return answer
            except Broken as e:
                held += 1
                why, is_late = f"{web.url}: {e}", isinstance(e, Late)
            if not self.crew.was_out(web.url, begun):
                if used and step.idempotent and not is_late:
                    continue    # an old connection may end at any time
                return Answer("failed", why=why, held=held)
            if not step.idempotent:
                return Answer("unknown", why=why, held=held)
            marks[:] = ["repeated"]
            self.at = (self.at + 1) % len(self.webs)
        return Answer("failed", why=why, held=held)

    def body(self, step, jar):
        headers = {"User-Agent": "session-ha-drill"}
        if jar:
            headers["Cookie"] = jar.header()
        if step.method not in ("POST", "PUT"):
            return None, headers
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        return urllib.parse.urlencode({
            key: value.replace("{user}", self.name_now)
            for key, value in step.form.items()}).encode(), headers

    def judge_answer(self, step, answer, jar):
        status, headers, text = answer
        jar.take(headers.get_all("Set-Cookie", []))
        if status not in step.status:
            return Answer("failed", text, f"status {status}", 1)
        text += "\n" + headers.get("Location", "")
        if step.does == "look" and not self.plan.page.search(text) \
                and not self.is_anonymous(text):
            return Answer("failed", text, "this is not the page")
        return Answer("ok", text)

    def is_anonymous(self, text):
        """Does it say that nobody is logged in?"""
        pattern = self.plan.anonymous
        return pattern is not None and bool(pattern.search(text))

    # ---- what people do

    def change(self, step, session, jar):
        answer = self.send(step, jar)
        session.apply(step, answer.word == "ok", answer.held)
        if answer.word == "ok":
            self.tally.count("changes")
        return answer.word

    def look(self, session, jar, is_alive=True):
        begun = time.monotonic()
        answer = self.send(self.plan.steps_that("look")[0], jar)
        if answer.word != "ok":
            return False
        self.tally.count("looks")
        shown = read_page(self.plan.facts, answer.text)
        if self.is_anonymous(answer.text):
            shown = dict.fromkeys(shown, "")
        self.tally.lose(session.see(shown))
        pattern = self.plan.settled
        if is_alive and (pattern is None or pattern.search(answer.text)):
            self.settled = begun
        return True

    def try_ended(self):
        """The cookies of a log-out that was not tried for longest."""
        if not self.ended:
            return
        one = min(self.ended, key=lambda ended: ended.tried)
        begun = time.monotonic()
        if self.look(one.session, Jar(one.jar), is_alive=False):
            one.tried = begun

    def has_settled(self, since):
        """Has he seen his session whole since then, and tried all that he
        remembers? A copy that is missing is mended by its use."""
        return self.settled >= since and all(
            one.tried >= since for one in list(self.ended))

    def pause(self):
        """Between two requests; ends at once when all is over."""
        return self.crew.over.wait(
            self.plan.pause * self.random.uniform(0.5, 1.5))

    def visit(self):
        self.visit_number += 1
        self.name_now = f"u{self.number}v{self.visit_number}" \
                        f"r{self.crew.run}"
        session = Session(self.name_now, [f.name for f in self.plan.facts])
        jar = Jar()
        self.at = (self.number + self.visit_number) % len(self.webs)
        if self.change(self.plan.steps_that("login")[0], session,
                       jar) != "ok":
            return
        for _ in range(self.plan.changes):
            if self.pause():
                return
            self.look(session, jar)
            self.change(self.random.choice(self.plan.steps_that("change")),
                        session, jar)
            self.try_ended()
        if self.crew.over.is_set():
            return
        self.look(session, jar)
        self.leave(session, jar)
        self.tally.count("visits")

    def leave(self, session, jar):
        """Log out; then nothing may be there, with the old cookies too."""
        old = Jar(jar)
        word = self.change(self.plan.steps_that("logout")[0], session, jar)
        self.look(session, jar, is_alive=False)
        if word == "ok":
            self.ended = (self.ended + [Ended(old, session)])[-REMEMBERED:]
            self.try_ended()

    def run(self):
        try:
            while not self.crew.over.is_set():
                self.visit()
                self.pause()
        except Exception as e:  # whoever waits for the users is told
            self.fault = e


def raise_file_limit():
    """As far as it goes, for users and relays; who is short of files then says
    so."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Crew:
    """All users. Use as a context: leaving it ends their visits."""

    def __init__(self, plan, targets, tally, seed):
        self.plan = plan
        self.targets = targets
        self.tally = tally
        self.seed = seed
        self.run = secrets.token_hex(3)     # names that no other run gave
        self.over = threading.Event()
        tally.expect(plan.count, plan.slow)
        self.users = [User(self, i + 1) for i in range(plan.count)]

    def __enter__(self):
        raise_file_limit()
        for user in self.users:
            user.start()
        return self

    def __exit__(self, *exc):
        """A user ends with his request, which has its time."""
        self.over.set()
        end = time.monotonic() + self.plan.timeout * 2
        for user in self.users:
            user.join(max(0, end - time.monotonic()))

    def was_out(self, url, since):
        """Was the target that is this web server out since then?"""
        return any(t.spec.url == url and t.was_out(since)
                   for t in self.targets)

    def have_settled(self, since):
        return all(user.has_settled(since) for user in self.users)

    def fault(self):
        """What broke a user himself, None while all are well."""
        return next((u.fault for u in self.users if u.fault), None)
