# SPDX-License-Identifier: Apache-2.0
"""An application server that speaks AJP, as far as mod_proxy_ajp needs it.

usage: ajp_server.py <port> <clone id> <profile> <folder> ...

It records requests and behaves as clone_server.py does, for the modes of
/mode/<clone id>/<word>/ in its path.
"""

import hashlib
import json
import os
import re
import select
import socket
import socketserver
import struct
import sys
import time

PORT, CLONE, FOLDER = int(sys.argv[1]), sys.argv[2], sys.argv[4]
METHODS = ("", "OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE")
LENGTH = 0xA008        # the coded names of two headers
ENCODING = "transfer-encoding"
FORWARD, CPING = 2, 10
SEND_BODY, SEND_HEADERS, END, GET_BODY, CPONG = 3, 4, 5, 6, 9

requests_fd = os.open(os.path.join(FOLDER, "requests"),
                      os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


class Reader:
    """A packet's content, taken apart from its front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def word(self):
        self.at += 2
        return struct.unpack_from(">H", self.data, self.at - 2)[0]

    def text(self):
        length = self.word()
        if length == 0xFFFF:
            return None
        self.at += length + 1
        return self.data[self.at - length - 1:self.at - 1].decode("latin-1")


def coded(text):
    data = text.encode("latin-1")
    return struct.pack(">H", len(data)) + data + b"\0"


class Handler(socketserver.BaseRequestHandler):
    answered = 0

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.request.recv(count - len(data))
            if not part:
                raise ConnectionError
            data += part
        return data

    def packet(self):
        magic, length = struct.unpack(">HH", self.exactly(4))
        assert magic == 0x1234
        return self.exactly(length)

    def send(self, data):
        self.request.sendall(b"AB" + struct.pack(">H", len(data)) + data)

    def body(self, expected):
        """mod_proxy_ajp sends one packet unasked where the length is known;
        an empty one ends what it asked for."""
        digest, got = hashlib.sha256(), 0
        asked = expected < 0
        while got != expected:
            if asked:
                self.send(struct.pack(">BH", GET_BODY, 8186))
            asked = True
            part = self.packet()
            size = struct.unpack_from(">H", part)[0] if len(part) > 1 else 0
            if size == 0:
                break
            digest.update(part[2:2 + size])
            got += size
        return got, digest.hexdigest()

    def head(self, data):
        """(method, path, bytes of body or -1 for chunks)"""
        reader = Reader(data)
        assert reader.byte() == FORWARD
        method = METHODS[reader.byte()]
        reader.text()
        path = reader.text()
        for _ in range(3):
            reader.text()
        reader.word()
        reader.byte()
        expected = 0
        for _ in range(reader.word()):
            at = reader.at
            name = reader.word()
            if name < 0xA000:
                reader.at = at
                name = reader.text().lower()
            value = reader.text()
            if name in (LENGTH, "content-length"):
                expected = int(value)
            if name == ENCODING:
                expected = -1
        return method, path, expected

    def cut(self, reset=False):
        if reset:
            self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                    struct.pack("ii", 1, 0))
        self.request.close()
        raise ConnectionError

    def hang(self):
        while not select.select([self.request], [], [], 0.05)[0]:
            pass
        self.cut()

    def answer(self, mode, method, path, length, sha):
        text = json.dumps({
            "clone": CLONE, "method": method, "path": path,
            "body_len": length, "body_sha": sha}).encode() + b"\n"
        status = 503 if mode == "busy" else 200
        self.send(struct.pack(">BH", SEND_HEADERS, status) + coded("said")
                  + struct.pack(">H", 1) + coded("Content-Length")
                  + coded(str(len(text))))
        if mode == "half":
            text = text[:len(text) // 2]
        self.send(struct.pack(">BH", SEND_BODY, len(text)) + text + b"\0")
        if mode == "half":
            self.cut()
        self.send(struct.pack(">BB", END, mode != "last"))
        self.answered += 1

    def one(self, data):
        if data[0] == CPING:
            self.send(bytes([CPONG]))
            return
        method, path, expected = self.head(data)
        found = re.search(f"/mode/{CLONE}/([^/]+)/", path)
        mode = found.group(1) if found else "normal"
        length, sha = self.body(expected)
        os.write(requests_fd, json.dumps({
            "clone": CLONE, "method": method, "path": path,
            "body_len": length, "body_sha": sha,
            "time": time.time()}).encode() + b"\n")
        if mode == "close":
            self.cut()
        if mode == "reset" or (mode == "reset-reused" and self.answered):
            self.cut(reset=True)
        if mode == "half-headers":
            self.request.sendall(b"AB\0\x40\x04\0\xc8")
            self.cut()
        if mode == "garbage":
            self.request.sendall(b"this is no AJP at all, not a bit\r\n")
            self.cut()
        if mode == "hang":
            self.hang()
        self.answer(mode, method, path, length, sha)
        if mode == "last":
            self.cut()

    def handle(self):
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                self.one(self.packet())
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass


Server(("127.0.0.1", PORT), Handler).serve_forever(poll_interval=60)
