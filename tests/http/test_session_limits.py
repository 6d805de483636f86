# SPDX-License-Identifier: Apache-2.0
"""Sessions that are too large, and clocks that are wrong."""

import base64
import hashlib
import http.server
import struct
import threading
import time

import pytest

from session_site import HERE, Site, nodes_conf, secret_file

STATUS = "<Location /status>\nSetHandler server-status\n</Location>\n"


def changes(what, size):
    """What an application says that breaks, or just keeps, a limit."""
    return {
        "attributes": lambda: [(f"n{i}", "1") for i in range(size)],
        "name": lambda: [("n" * size, "1")],
        "value": lambda: [("v", "x" * (size - 1))],
        "session": lambda: [(f"v{i}", "x" * (size // 16 - 2 - (i > 9)))
                            for i in range(16)],
    }[what]()


class Application(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, what, size = self.path.split("/")
        pairs = "&".join(f"{n}={v}" for n, v in changes(what, int(size)))
        self.send_response(200)
        self.send_header("X-Change", pairs)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *args):
        pass


@pytest.fixture
def application():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def site(httpd, application):
    def factory(conf=""):
        return Site(httpd(
            f"SessionHA On\n{HERE}\n{STATUS}"
            f"ProxyPass /app http://127.0.0.1:{application} "
            f"responsefieldsize=400000\n{conf}"))
    return factory


LIMITS = [
    ("attributes", 1024, "more than 1024 attributes"),
    ("name", 1024, "an attribute's name is longer than 1024 bytes"),
    ("value", 131072, "names and values are more than 131072 bytes"),
    ("session", 131072, "names and values are more than 131072 bytes"),
]


def test_what_is_above_a_limit_is_refused_and_the_old_stays(site, jar):
    s = site("SessionHACopiesHeader X-Copies\n")
    s.log.allow("HA0415")
    for what, limit, words in LIMITS:
        s.set(jar, old=what)
        answer = s.server.get(f"/app/{what}/{limit * 2}", jar=jar)
        assert (answer.status, answer.text) == (200, "ok\n"), what
        assert answer.header("X-Copies") == "0/1 failed"
        s.log.expect(f"HA0402: session [0-9a-f]+: {words}; the change is "
                     "lost, what was stored before stays")
        assert s.session(jar) == {"old": what}


@pytest.mark.parametrize("what, limit, words", LIMITS)
def test_what_just_keeps_a_limit_is_taken(site, jar, what, limit, words):
    s = site("SessionHACopiesHeader X-Copies\n")
    s.log.allow("HA0415")
    answer = s.server.get(f"/app/{what}/{limit}", jar=jar)
    assert answer.status == 200 and answer.header("X-Copies") == "1/1"


def warned(s):
    return [line.split("above ")[1].split(" since")[0]
            for line in s.log.text.splitlines() if "HA0415" in line]


def test_a_large_session_is_warned_of_once_for_each_doubling(site, jar):
    s = site()
    s.log.allow("HA0415")
    s.server.get("/app/value/4096", jar=jar)
    assert warned(s) == []
    for _ in range(3):
        s.server.get("/app/value/4097", jar=jar)
        s.server.get("/app/value/4100", jar=jar)
    assert warned(s) == ["4 kB"]
    s.server.get("/app/value/20000", jar=jar)
    s.server.get("/app/value/8193", jar=jar)
    s.server.graceful()
    s.server.get("/app/value/8195", jar=jar)
    s.server.get("/app/value/20001", jar=jar)
    assert warned(s) == ["4 kB", "16 kB", "8 kB"]
    assert "x" * 20 not in s.log.text


def record(cookie, ahead_sec, name, value):
    """A record of the stored log, as a host that is so far ahead writes it."""
    ident = base64.urlsafe_b64decode(cookie.split(".")[0] + "==")[5:21]
    digest = hashlib.sha256(b"mod_session_ha session 1" + ident).digest()
    body = struct.pack(">H", len(name)) + name + value
    body = struct.pack(">BI", 1, len(body)) + body
    usec = int((time.time() + ahead_sec) * 1_000_000)
    frame = struct.pack(">cBBBIQQ", b"H", 1, 1, 0, len(body), usec, 7)
    check = hashlib.sha256(digest + frame + body).digest()[:8]
    return frame + check + body


def status(s):
    return dict(line.split(": ", 1) for line in
                s.server.get("/status?auto").text.splitlines()
                if line.startswith("SessionHA"))


def test_a_clock_that_is_ahead_is_told_and_loses_nothing(httpd, jar, workdir,
                                                         memcacheds):
    nodes = memcacheds(2)
    s = Site(httpd(f"{nodes_conf(nodes, secret_file(workdir))}SessionHA On\n"
                   f"{HERE}\n{STATUS}"))
    s.set(jar, user="ada", basket="tea")
    late = record(jar["HASESSION"], 600, b"user", b"eve")
    for node in nodes:
        key, = node.keys()
        assert node.append(key, late)
    for _ in range(3):
        assert s.session(jar) == {"user": "eve", "basket": "tea"}
    s.log.expect("HA0413: a session was written (599|600) s ahead")
    s.set(jar, user="bob")
    assert s.session(jar) == {"user": "bob", "basket": "tea"}
    assert len([x for x in s.log.text.splitlines() if "HA0413" in x]) == 1
    told = status(s)
    assert int(told["SessionHAAhead"]) == 5
    assert told["SessionHAAheadSeconds"] in ("599", "600")
    s.set(jar, user="", basket="")
    assert s.session(jar) == {}
