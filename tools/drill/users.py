# SPDX-License-Identifier: Apache-2.0
"""Virtual users: each logs in, changes and looks, logs out, and comes again.

They see the site as through a load balancer: a connection that is refused goes
to the next web server at once. A request that a web server held when the drill
took that server away has an outcome that nobody can know; sent again, on the
next one, is only what does no harm twice.
"""

import http.client
import random
import select
import socket
import threading
import time
import urllib.parse

from .judge import Session, read_page

REMEMBERED = 3          # ended sessions that a user tries to use again
ANSWER_MOST = 4 * 1024 * 1024


class Jar(dict):
    """Cookies of one session: name to value."""

    def header(self):
        return "; ".join(f"{k}={v}" for k, v in self.items())

    def take(self, headers):
        for text in headers:
            first, *rest = [part.strip() for part in text.split(";")]
            name, _, value = first.partition("=")
            if not value or any(part.lower() == "max-age=0" for part in rest):
                self.pop(name, None)
            else:
                self[name] = value


class Answer:
    """How a request ended: "ok", "failed" or "unknown"."""

    def __init__(self, word, text="", why=""):
        self.word = word
        self.text = text
        self.why = why


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


class Web:
    """One user's connection to one web server, kept alive."""

    def __init__(self, url, timeout):
        parts = urllib.parse.urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" \
            else http.client.HTTPConnection
        self.url = url
        self.line = kind(parts.hostname, parts.port, timeout=timeout)

    def connect(self):
        """A connection that lives; OSError when there is none to be had.
        Returns whether it was used before."""
        sock = self.line.sock
        if sock is not None and not select.select([sock], [], [], 0)[0]:
            return True
        self.line.close()       # readable and nothing asked: it has ended
        self.line.connect()
        self.line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return False

    def exchange(self, method, path, body, headers):
        """(status, headers, text), or Broken."""
        try:
            self.line.request(method, path, body, headers)
            answer = self.line.getresponse()
            data = answer.read(ANSWER_MOST)
            if not answer.isclosed():
                self.line.close()
            return answer.status, answer.headers, data.decode(
                "utf-8", "replace")
        except TimeoutError:
            self.line.close()
            raise Late("no answer in time") from None
        except (OSError, http.client.HTTPException) as e:
            self.line.close()
            raise Broken(f"closed without an answer "
                         f"({type(e).__name__})") from None


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
        self.tally.request(begun, took, marks, text)
        return answer

    def try_webs(self, step, jar, begun, marks):
        refused = 0
        while refused < len(self.webs):
            web = self.webs[self.at]
            try:
                used = web.connect()
            except OSError:
                refused += 1
                self.tally.count("elsewhere")
                self.at = (self.at + 1) % len(self.webs)
                continue
            try:
                return self.judge_answer(step, web.exchange(
                    step.method, step.path, *self.body(step, jar)), jar)
            except Broken as e:
                why, is_late = f"{web.url}: {e}", isinstance(e, Late)
            if not self.crew.was_out(web.url, begun):
                if used and step.idempotent and not is_late:
                    continue    # an old connection may end at any time
                return Answer("failed", why=why)
            if not step.idempotent:
                return Answer("unknown", why=why)
            marks[:] = ["repeated"]
            self.at = (self.at + 1) % len(self.webs)
        return Answer("failed", why="no web server takes a connection")

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
            return Answer("failed", text, f"status {status}")
        if step.does == "look" and not self.plan.page.search(text):
            return Answer("failed", text, "this is not the page")
        return Answer("ok", text)

    # ---- what people do

    def change(self, step, session, jar):
        answer = self.send(step, jar)
        session.apply(step, answer.word == "ok")
        if answer.word == "ok":
            self.tally.count("changes")
        return answer.word

    def look(self, session, jar, is_alive=True):
        begun = time.monotonic()
        answer = self.send(self.plan.steps_that("look")[0], jar)
        if answer.word != "ok":
            return False
        self.tally.count("looks")
        self.tally.lose(session.see(read_page(self.plan.facts, answer.text)))
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
        self.name_now = f"u{self.number}v{self.visit_number}"
        session = Session(self.name_now, [f.name for f in self.plan.facts])
        jar = Jar()
        self.at = (self.number + self.visit_number) % len(self.webs)
        if self.change(self.plan.steps_that("login")[0], session,
                       jar) != "ok":
            return
        for _ in range(self.plan.changes):
            if self.pause():
                break
            self.look(session, jar)
            self.change(self.random.choice(self.plan.steps_that("change")),
                        session, jar)
            self.try_ended()
        self.look(session, jar)
        if self.crew.over.is_set():
            return
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


class Crew:
    """All users. Use as a context: leaving it ends their visits."""

    def __init__(self, plan, targets, tally, seed):
        self.plan = plan
        self.targets = targets
        self.tally = tally
        self.seed = seed
        self.over = threading.Event()
        self.users = [User(self, i + 1) for i in range(plan.count)]

    def __enter__(self):
        for user in self.users:
            user.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        for user in self.users:
            user.join(self.plan.timeout * 4)

    def was_out(self, url, since):
        """Was the target that is this web server out since then?"""
        return any(t.spec.url == url and t.was_out(since)
                   for t in self.targets)

    def have_settled(self, since):
        return all(user.has_settled(since) for user in self.users)

    def fault(self):
        """What broke a user himself, None while all are well."""
        return next((u.fault for u in self.users if u.fault), None)
