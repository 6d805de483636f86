# SPDX-License-Identifier: Apache-2.0
"""The application server that backend.py starts, one process per clone.

usage: clone_server.py <port> <clone id> <profile> <folder> <id in cookies>
                       [<certificate>]

Every request is one JSON line in <folder>/requests, written before the answer,
so that the record survives kill -9. <folder>/mode, when it is there, holds a
word of backend.MODES and is read again for each request. A path that holds
/mode/<clone id>/<word>/ says it for this request alone. With a certificate, a
PEM file that has its key too, it speaks TLS.

A query ?set-cookie=... adds such a header to the answer, several add several.

Paths under /app/ are a small application that keeps its state in a session
somebody else stores: it reads the request header X-Session and answers with
X-Session-Out.  /app/show  /app/set?k=v&k=v  /app/unset?k  /app/clear
"""

import base64
import hashlib
import http.server
import json
import os
import random
import re
import select
import socket
import socketserver
import ssl
import string
import struct
import sys
import time
import urllib.parse

PORT, CLONE, PROFILE, FOLDER = (int(sys.argv[1]), sys.argv[2], sys.argv[3],
                                sys.argv[4])
ISSUES = sys.argv[5] if len(sys.argv) > 5 else CLONE
SEPARATOR = {"websphere": ":", "websphere-plus": "+", "tomcat": ".",
             "jetty": ".", "wildfly": ".", "wildfly-ranked": ".",
             "weblogic": "!", "spring": ".",
             "none": ":"}[PROFILE]
LISTS = ("websphere", "websphere-plus", "wildfly-ranked")
COOKIE = "JSESSIONID"
IN_HEADER = "X-Session"
OUT_HEADER = "X-Session-Out"
LETTERS = string.ascii_letters + string.digits
TLS = None
if len(sys.argv) > 6:
    TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TLS.load_cert_chain(sys.argv[6])

requests_fd = os.open(os.path.join(FOLDER, "requests"),
                      os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


def mode(path=""):
    found = re.search(f"/mode/{CLONE}/([^/]+)/", path)
    if found:
        return [found.group(1)]
    try:
        with open(os.path.join(FOLDER, "mode")) as f:
            return f.read().split() or ["normal"]
    except FileNotFoundError:
        return ["normal"]


def wrapped(value):
    """The value as it stands in a cookie."""
    if PROFILE == "spring":
        return base64.b64encode(value.encode()).decode()
    return value


def session_of(path, headers):
    """The session value the client sent: path parameter, else a cookie."""
    value = sent_of(path, headers)
    if value and PROFILE == "spring":
        return base64.b64decode(value).decode()
    return value


def sent_of(path, headers):
    found = re.search(";jsessionid=([^?;#]*)", path)
    if found:
        return found.group(1)
    for line in headers.get_all("Cookie", []):
        for pair in line.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE and value:
                return value.strip('"')
    return None


def letters(count):
    return "".join(random.choice(LETTERS) for _ in range(count))


def new_session():
    name = letters(23)
    if PROFILE.startswith("websphere"):
        name = "0000" + name
    return name + SEPARATOR + (letters(12) if mode()[0] == "fresh" else ISSUES)


def session_after(value):
    """What the client shall send from now on."""
    if value is None:
        return new_session()
    parts = value.split(SEPARATOR)
    if ISSUES in parts[1:]:
        return value
    if PROFILE in LISTS:
        return value + SEPARATOR + ISSUES
    return parts[0] + SEPARATOR + ISSUES


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self):
        self.answered = 0
        if TLS:
            self.request = TLS.wrap_socket(self.request, server_side=True)
        super().setup()

    def log_message(self, *args):
        pass

    def handle_expect_100(self):
        # the base class leaves the line in our buffer
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def body(self):
        """Read the request body; returns (length, sha256, framing)."""
        digest, length = hashlib.sha256(), 0
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                data = self.rfile.read(size)
                digest.update(data)
                length += len(data)
                if size:
                    self.rfile.readline()
                    continue
                while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                    pass
                return length, digest.hexdigest(), "chunked"
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            data = self.rfile.read(min(left, 65536))
            if not data:
                break
            digest.update(data)
            length += len(data)
            left -= len(data)
        return length, digest.hexdigest(), "length"

    def record(self, length, sha, framing):
        line = {"clone": CLONE, "method": self.command, "path": self.path,
                "body_len": length, "body_sha": sha, "framing": framing,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "connection": self.client_address[1],
                "time": time.time()}
        os.write(requests_fd, json.dumps(line).encode() + b"\n")

    def cut(self, reset=False):
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                       struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def app(self, reply):
        """/app/…: the session another module keeps for us."""
        text = self.headers.get(IN_HEADER)
        pairs = dict(urllib.parse.parse_qsl(text or "",
                                            keep_blank_values=True))
        path, _, query = self.path.partition("?")
        given = urllib.parse.parse_qsl(query, keep_blank_values=True)
        out = None
        if path == "/app/set":
            out = given
        elif path == "/app/unset":
            out = [(k, "") for k, _ in given]
        elif path == "/app/clear":
            out = [(k, "") for k in pairs]
        if out is not None:
            self.send_header(OUT_HEADER, urllib.parse.urlencode(
                out, quote_via=urllib.parse.quote))
        reply["raw"] = text
        reply["session"] = pairs

    def answer(self):
        what = mode(self.path)
        if what[0] == "close-early":
            self.record(0, "", "none")
            return self.cut()
        length, sha, framing = self.body()
        self.record(length, sha, framing)
        if what[0] == "close":
            return self.cut()
        if what[0] == "reset" or (what[0] == "reset-reused"
                                  and self.answered):
            return self.cut(reset=True)
        if what[0] == "half-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/pl")
            self.wfile.flush()
            return self.cut()
        if what[0] == "garbage":
            self.wfile.write(b"220 this is not HTTP\r\n\r\n")
            self.wfile.flush()
            return self.cut()
        if what[0] == "delay":
            time.sleep(float(what[1]))
        while what[0] == "hang" and mode(self.path)[0] == "hang":
            time.sleep(0.02)
            if select.select([self.connection], [], [], 0)[0]:
                return self.cut()
        self.answered += 1
        self.normal(what, length, sha)

    def normal(self, what, length, sha):
        status = {"status": what[-1], "busy": 503}.get(what[0], 200)
        self.send_response(int(status))
        if what[0] == "header":
            self.send_header(what[1], what[2])
        if what[0] == "last":
            self.send_header("Connection", "close")
        reply = {"clone": CLONE, "method": self.command, "path": self.path,
                 "body_len": length, "body_sha": sha}
        if self.path.startswith("/app/"):
            self.app(reply)
        else:
            before = session_of(self.path, self.headers)
            after = session_after(before)
            reply["session"] = after
            if after != before and PROFILE != "none":
                self.send_header("Set-Cookie",
                                 f"{COOKIE}={wrapped(after)}; Path=/")
        for line in urllib.parse.parse_qs(
                urllib.parse.urlsplit(self.path).query).get("set-cookie", []):
            self.send_header("Set-Cookie", line)
        text = json.dumps(reply).encode() + b"\n"
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if what[0] == "half":
            self.wfile.write(text[:len(text) // 2])
            self.wfile.flush()
            return self.cut()
        self.wfile.write(text)
        if what[0] == "close-after":
            self.wfile.flush()
            self.cut()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = answer
    do_OPTIONS = answer


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def server_bind(self):
        # HTTPServer would look up our name; a test has no time for that
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", PORT

    def handle_error(self, request, client_address):
        # the client went away, or we did: both are what tests are about
        pass


Server(("127.0.0.1", PORT), Handler).serve_forever(poll_interval=60)
