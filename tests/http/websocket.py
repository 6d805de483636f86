# SPDX-License-Identifier: Apache-2.0
"""WebSockets by hand: clones that echo, in threads of the test, and a client
that shakes hands through a router."""

import base64
import hashlib
import os
import socket
import socketserver
import threading

from process import free_port

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def read_head(stream):
    """The first line, and header fields by lower case name."""
    first = stream.readline().decode().strip()
    fields = {}
    for line in iter(lambda: stream.readline().strip(), b""):
        name, _, value = line.decode().partition(":")
        fields[name.lower()] = value.strip()
    return first, fields


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + MAGIC).digest())


def read_frame(stream):
    """The payload of a short frame; None at the end."""
    head = stream.read(2)
    if len(head) < 2 or head[0] & 15 == 8:
        return None
    length = head[1] & 127
    mask = stream.read(4) if head[1] & 128 else b"\0\0\0\0"
    return bytes(b ^ mask[i % 4] for i, b in enumerate(stream.read(length)))


def frame(text, mask=b""):
    data = text.encode()
    head = bytes([0x81, len(data) | (128 if mask else 0)]) + mask
    return head + bytes(b ^ mask[i % 4] if mask else b
                        for i, b in enumerate(data))


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        clone = self.server.clone
        first, fields = read_head(self.rfile)
        if not first:
            return
        clone.asked.append((first, fields))
        if clone.is_silent:
            return
        if fields.get("upgrade", "").lower() != "websocket":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        self.wfile.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept_of(fields["sec-websocket-key"]) + b"\r\n\r\n")
        while True:
            payload = read_frame(self.rfile)
            if payload is None:
                return
            self.wfile.write(frame(f"{clone.id}:{payload.decode()}"))


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass                   # the client is gone: that is how it ends


class SocketClone:
    """A clone that echoes what it is sent, its id in front.

    asked: (request line, headers) of what reached it; is_silent: it takes a
    request and closes without a byte.
    """

    def __init__(self, clone_id, scheme):
        self.id = clone_id
        self.scheme = scheme
        self.asked = []
        self.is_silent = False
        self.server = Server(("127.0.0.1", free_port()), Handler)
        self.server.clone = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,),
                         daemon=True).start()

    def member(self, options=""):
        return (f"BalancerMember {self.scheme}://127.0.0.1:{self.port} "
                f"route={self.id} {options}").rstrip()

    def close(self):
        """Refuse connections from now on."""
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None


class Socket:
    """A client's side: status of the handshake, then say(text)."""

    def __init__(self, port, headers, path="/echo"):
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", "Host: shop", "Upgrade: websocket",
                 "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 f"Sec-WebSocket-Key: {key}"]
        lines += [f"{k}: {v}" for k, v in headers.items()]
        self.socket.sendall("\r\n".join(lines + ["", ""]).encode())
        self.stream = self.socket.makefile("rb")
        first, self.fields = read_head(self.stream)
        self.status = int(first.split()[1]) if first else None
        if self.status == 101:
            assert self.fields["sec-websocket-accept"].encode() == \
                accept_of(key)

    def say(self, text):
        self.socket.sendall(frame(text, os.urandom(4)))
        return read_frame(self.stream).decode()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        # Say good-bye and wait for the other end: the tunnel is gone then.
        if self.status == 101 and exc == (None, None, None):
            self.socket.sendall(b"\x88\x80" + os.urandom(4))
            while self.stream.read(4096):
                pass
        self.stream.close()
        self.socket.close()
