# SPDX-License-Identifier: Apache-2.0
"""The load generator of the benches is a browser in what matters: it keeps the
cookies that it is given, and it says what became of a request."""

import contextlib
import json
import os
import socket
import subprocess
import threading

import pytest

from test_bench import tools


class Server:
    """Answers whole requests with what say(request) returns; None closes."""

    def __init__(self, say):
        self.say = say
        self.requests = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.welcome, daemon=True).start()

    def welcome(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,),
                             daemon=True).start()

    def serve(self, peer):
        """Until the visitor leaves, who may leave in the middle."""
        with peer, peer.makefile("rb") as stream, \
                contextlib.suppress(ConnectionError):
            while True:
                lines = []
                while (line := stream.readline()) not in (b"\r\n", b""):
                    lines.append(line.decode().rstrip())
                if not lines:
                    return
                self.requests.append(lines)
                answer = self.say(lines)
                if answer is None:
                    return
                peer.sendall(answer.encode())

    def cookies(self):
        """Of each request, in order; None of one without."""
        return [next((line[8:] for line in lines
                      if line.startswith("Cookie: ")), None)
                for lines in self.requests]


@pytest.fixture
def server():
    started = []

    def factory(say):
        started.append(Server(say))
        return started[-1]

    yield factory
    for one in started:
        one.socket.close()


def ok(*set_cookies, n=0):
    head = "".join(f"Set-Cookie: {pair}; Path=/\r\n" for pair in set_cookies)
    return f"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n{head}\r\nn={n:08}"


def load(port, *options, seconds="0.1"):
    """One visitor with one session that it only reads."""
    return subprocess.run(
        [os.path.join(tools(), "load"), *options, str(port), "/app", "1", "1",
         "0", "0", seconds], text=True, timeout=30, capture_output=True)


def is_new(lines):
    return "op=new" in lines[0]


def test_cookies_of_the_router_and_of_the_application_are_both_kept(server):
    """As of HAProxy, which sets its own first, and once."""
    s = server(lambda lines: ok("ROUTE=B", "JSESSIONID=one", "JSESSIONID=two")
               if is_new(lines) else ok())
    done = load(s.port)
    assert done.returncode == 0, done.stderr
    assert s.cookies()[0] is None and len(s.cookies()) > 2
    assert set(s.cookies()[1:]) == {"ROUTE=B; JSESSIONID=two"}


def test_a_cookie_takes_the_place_of_the_one_it_began_with(server):
    s = server(lambda lines: ok("ROUTE=B") if is_new(lines) else ok())
    done = load(s.port, "-cROUTE=A")
    assert done.returncode == 0, done.stderr
    assert s.cookies()[0] == "ROUTE=A" and set(s.cookies()[1:]) == {"ROUTE=B"}


def test_more_cookies_than_it_keeps_are_no_measurement(server):
    s = server(lambda lines: ok("a=1", "b=1", "c=1", "d=1", "e=1"))
    done = load(s.port)
    assert done.returncode == 1
    assert done.stderr == "load: more cookies in a session than it keeps\n"


@pytest.mark.parametrize("answer, reason", [
    (None, "the server closed the connection without an answer"),
    (ok(n=7), "n=00000007"),
    ("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
     "HTTP/1.1 502 Bad Gateway"),
])
def test_a_request_that_failed_has_its_reason(server, answer, reason):
    s = server(lambda lines: ok() if is_new(lines) else answer)
    done = load(s.port, "-f")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["bad"]
    assert said["first_bad"].startswith(f"op r n 0: {reason}")


def test_a_connection_that_ends_without_an_error_has_no_error(server):
    done = load(server(lambda lines: None).port)
    assert done.returncode == 1
    assert done.stderr == ("load: the server closed the connection without an "
                           "answer\n")
