# SPDX-License-Identifier: Apache-2.0
"""Application servers for the router: separate processes, to be killed."""

import json
import os
import subprocess

from process import Process, free_port, is_open, wait_until

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      "clone_server.py")
PYTHON = "/usr/bin/python3"

# what behave() takes; words after the first are arguments
MODES = {
    "normal": "answer",
    "delay": "answer after so many seconds: 'delay 0.5'",
    "hang": "take the request, answer when the mode changes",
    "status": "answer with this status: 'status 503'",
    "header": "answer with this header, too: 'header X-Name value'",
    "close": "take the whole request, close without a byte",
    "close-early": "close without reading the body",
    "reset": "take the whole request, reset the connection",
    "reset-reused": "the same, if the connection has had an answer before",
    "half-headers": "close in the middle of the answer's headers",
    "busy": "answer with status 503",
    "last": "answer, and say that the connection ends",
    "half": "close in the middle of the answer's body",
    "close-after": "answer, keep-alive promised, then close",
    "garbage": "answer with something that is not HTTP",
    "fresh": "write a clone id of its own in each new session",
}


class Clone(Process):
    """One application server of a cluster.

    It sends Set-Cookie: JSESSIONID=0000<id>:<clone> to a client without a
    session, appends itself to a list that lacks it (profiles without lists:
    replaces the name there), and answers in JSON what it saw.
    """

    server = SERVER

    def __init__(self, clone_id, folder, profile="websphere",
                 certificate=None):
        super().__init__()
        self.certificate = certificate
        self.id = clone_id
        self.profile = profile
        self.issues = clone_id  # what it writes in cookies, from start() on
        self.folder = str(folder)
        self.port = free_port()
        os.makedirs(self.folder, exist_ok=True)

    @property
    def url(self):
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def member(self, options=""):
        """Its BalancerMember line."""
        return f"BalancerMember {self.url} route={self.id} {options}".rstrip()

    def start(self):
        self.spawn([PYTHON, "-I", "-S", self.server, str(self.port), self.id,
                    self.profile, self.folder, self.issues]
                   + ([self.certificate] if self.certificate else []))
        wait_until(self._answers, 10, f"answer from clone {self.id}")
        return self

    def _answers(self):
        if not self.is_running():
            raise RuntimeError(f"clone {self.id} ended at once")
        return is_open(self.port)

    def behave(self, mode):
        """Answer like this from the next request on; see MODES."""
        if mode.split()[0] not in MODES:
            raise ValueError(f"no mode '{mode}'")
        path = os.path.join(self.folder, "mode")
        with open(path + ".new", "w") as f:
            f.write(mode)
        os.rename(path + ".new", path)

    @property
    def requests(self):
        """What it was asked, oldest first; survives kill9() and start()."""
        try:
            with open(os.path.join(self.folder, "requests")) as f:
                return [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []

    def forget(self):
        """Start the record anew."""
        path = os.path.join(self.folder, "requests")
        if os.path.exists(path):
            os.truncate(path, 0)


class AjpClone(Clone):
    """One that speaks AJP, and knows modes by path alone."""

    server = os.path.join(os.path.dirname(SERVER), "ajp_server.py")

    @property
    def url(self):
        return f"ajp://127.0.0.1:{self.port}"


def balancer(clones, name="shop", options="", members=""):
    """A <Proxy balancer://…> block over these clones, and its ProxyPass."""
    lines = "\n".join("    " + c.member(members) for c in clones.values())
    return (f"<Proxy balancer://{name}>\n{lines}\n"
            f"    ProxySet stickysession=JSESSIONID|jsessionid {options}\n"
            f"</Proxy>\n"
            f"ProxyPass / balancer://{name}/\n")
