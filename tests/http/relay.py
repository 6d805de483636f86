# SPDX-License-Identifier: Apache-2.0
"""A relay between a web server and a node: a network that misbehaves.

Each is a process of its own, so that a test's threads do not slow it down.
"""

import os
import socket

from backend import PYTHON
from process import Process, free_port, is_open, wait_until

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "relay_server.py")

# what behave() takes; words after the first are arguments
MODES = {
    "pass": "carry everything",
    "cut": "refuse connections, and reset those there are",
    "stall": "carry nothing; it all arrives, late, when the mode changes",
    "hole": "accept, and swallow both ways",
    "mute": "requests arrive and take effect, answers are swallowed",
    "delay": "each way takes so many seconds longer: 'delay 0.3'",
    "trickle": "answers come a byte at a time: 'trickle 0.01'",
    "truncate": "answers end in the middle, and so does the connection",
    "corrupt": "one bit in each piece of an answer is wrong",
    "corrupt-up": "one bit in each piece of a request is wrong",
    "garbage": "answers are not memcached's",
}


class Relay(Process):
    """Carries bytes to 127.0.0.1:target, as behave() says."""

    def __init__(self, target, folder, name="relay", seed=1):
        super().__init__()
        self.name = name
        self.target = target
        self.seed = seed
        self.port = free_port()
        self.control = os.path.join(str(folder), f"{name}.{self.port}")
        self.mode = "pass"

    @property
    def address(self):
        """As SessionHAServer address= wants it."""
        return f"127.0.0.1:{self.port}"

    def start(self):
        if os.path.exists(self.control):
            os.unlink(self.control)
        self.mode = "pass"
        self.spawn([PYTHON, "-I", "-S", SERVER, str(self.port),
                    str(self.target), self.control, str(self.seed)])
        wait_until(self._answers, 20, f"answer from relay {self.name}")
        return self

    def _answers(self):
        if not self.is_running():
            raise RuntimeError(f"relay {self.name} ended at once")
        return os.path.exists(self.control) and is_open(self.port)

    def behave(self, mode):
        """Returns when the relay does so; see MODES."""
        if mode.split()[0] not in MODES:
            raise ValueError(f"no mode '{mode}'")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.control)
            s.sendall(mode.encode() + b"\n")
            answer = s.recv(16)
        assert answer == b"ok\n", answer
        self.mode = mode

    def heal(self):
        if self.mode != "pass":
            self.behave("pass")
