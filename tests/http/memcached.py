# SPDX-License-Identifier: Apache-2.0
"""A real memcached on a free loopback port (or a Unix socket)."""

import os
import shutil
import socket
import subprocess

from process import Process, free_port, is_open, servers_account, wait_until


# The thread that moves items between the LRU lists hides each for up to 15 ms
# (memcached 1.6.18, 8 of 1600 dumps; none without it), and keys() reads one of
# the lists alone, which without that thread is the only one.
LISTABLE = ("-o", "no_lru_maintainer")


class Memcached(Process):
    """start() after kill9() gives an empty node on the same port."""

    def __init__(self, name, unix=None, megabytes=64,
                 options=LISTABLE):
        super().__init__()
        self.name = name
        self.unix = unix
        self.megabytes = megabytes
        self.options = list(options)
        self.port = None if unix else free_port()

    @property
    def address(self):
        """As SessionHAServer address= wants it."""
        return f"unix:{self.unix}" if self.unix else f"127.0.0.1:{self.port}"

    def start(self):
        binary = shutil.which("memcached") or "/usr/bin/memcached"
        argv = [binary, "-U", "0", "-t", "2", "-m", str(self.megabytes)]
        argv += self.options
        if self.unix:
            if os.path.exists(self.unix):
                os.unlink(self.unix)
            argv += ["-s", self.unix, "-a", "0777"]
        else:
            argv += ["-l", "127.0.0.1", "-p", str(self.port)]
        account = servers_account()
        kw = {"user": account[0]} if account else {}
        self.spawn(argv, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, **kw)
        wait_until(self._answers, 10, f"answer from memcached {self.name}")
        return self

    def _answers(self):
        if not self.is_running():
            raise RuntimeError(f"memcached {self.name} ended at once with "
                               f"{self.child.returncode}")
        if self.unix:
            return os.path.exists(self.unix)
        return is_open(self.port)

    def command(self, line, end=(b"END\r\n",), timeout=5):
        """Send one line of the text protocol (text or bytes), read up to an
        end mark."""
        if isinstance(line, str):
            line = line.encode()
        if self.unix:
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(timeout)
            s.connect(self.unix)
        else:
            s = socket.create_connection(("127.0.0.1", self.port), timeout)
        with s:
            s.sendall(line + b"\r\n")
            answer = b""
            while not answer.endswith(tuple(end)):
                part = s.recv(65536)
                if not part:
                    break
                answer += part
        return answer

    def stats(self):
        """The general statistics, numbers as numbers."""
        result = {}
        for line in self.command("stats").decode().splitlines():
            words = line.split(" ", 2)
            if words[0] == "STAT":
                value = words[2]
                result[words[1]] = int(value) if value.isdigit() else value
        return result

    def asked(self):
        """What it was asked about sessions, since this was called first.

        The item by which web servers know each other is not counted.
        """
        self.command("stats detail on", (b"OK\r\n",))
        for line in self.command("stats detail dump").decode().splitlines():
            words = line.split()
            if words[:2] == ["PREFIX", "ha1"]:
                return {words[i]: int(words[i + 1])
                        for i in range(2, len(words), 2)}
        return {}

    def keys(self):
        """Every key it holds, sorted, but for what web servers tell each
        other: that is on all nodes, soon after a start.

        A dump by the crawler passes over items that are in use, which those
        of an answer are until the thread that sent it comes to run again. So
        it is the lists themselves that are dumped, and what they name and is
        over, or flushed, is told from the rest.
        """
        classes = {line.split(":")[1] for line in
                   self.command("stats items").decode().splitlines()
                   if line.startswith("STAT items:")}
        listed = {line.split(" ", 2)[1] for number in classes for line in
                  self.command(f"stats cachedump {number} 0").decode()
                  .splitlines() if line.startswith("ITEM ")} - {"ha1-fleet"}
        ask = "".join(f"me {key}\r\n" for key in sorted(listed))
        told = self.command(ask + "mn", (b"MN\r\n",)).decode()
        return sorted(line.split(" ", 2)[1] for line in told.splitlines()
                      if line.startswith("ME "))

    def get(self, key):
        """The value as bytes, or None."""
        answer = self.command(f"get {key}")
        if not answer.startswith(b"VALUE "):
            return None
        head, rest = answer.split(b"\r\n", 1)
        return rest[:int(head.split()[3])]

    def set(self, key, value, ttl=600):
        """Store bytes, whatever is there."""
        return self.command(
            f"set {key} 0 {ttl} {len(value)}\r\n".encode() + value,
            (b"STORED\r\n", b"ERROR\r\n"))

    def append(self, key, value):
        """Put bytes behind a value; whether there was one."""
        return self.command(
            f"append {key} 0 0 {len(value)}\r\n".encode() + value,
            (b"STORED\r\n", b"ERROR\r\n")) == b"STORED\r\n"

    def ttl(self, key):
        """Seconds that an item still lives, or None."""
        answer = self.command(f"mg {key} t", (b"\r\n",)).decode().split()
        return int(answer[1][1:]) if answer[0] == "HD" else None

    def delete(self, key):
        return self.command(f"delete {key}",
                            (b"DELETED\r\n", b"NOT_FOUND\r\n"))

    def empty(self):
        """Take every item away, as if all had expired."""
        for key in self.keys():
            self.delete(key)

    def flush(self):
        """Forget everything, as a restart would, without one: it counts."""
        return self.command("flush_all", (b"OK\r\n",))
