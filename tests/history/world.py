# SPDX-License-Identifier: Apache-2.0
"""Two web servers, four nodes, and a relay on each path between them.

The page tells everything in headers, so that no script need run: X-Do of a
request becomes the SessionHeader of its answer, X-Is says what the session
was. What the save achieved is known after the headers are made; it comes from
a log of its own, by the number of the operation.
"""

import os
import signal
import threading

from httpd import Httpd
from memcached import Memcached
from process import wait_until
from relay import Relay
from session_site import secret_file

COOKIE = "HASESSION"
ZONES = ("east", "east", "west", "west")
SAVES = "saves_log"

PAGE = f"""
    SessionHA On
    SessionMaxAge 600
    SessionHeader X-Change
    Header set X-Change "expr=%{{req:X-Do}}" early
    <Location "/s">
        Session On
        SessionEnv On
        Header always set X-Is "expr=%{{env:HTTP_SESSION}}"
        Header always set X-Load "expr=%{{env:SESSION_HA_LOAD}}"
        Header always set X-Copies "expr=%{{env:SESSION_HA_COPIES}}"
    </Location>
    <Location "/status">
        SetHandler server-status
    </Location>
    LogFormat "%{{X-Op}}i|%{{SESSION_HA_SAVE}}e" saves
    CustomLog {SAVES} saves env=!no-op
    SetEnvIf X-Op "^$" no-op
"""


class World:
    def __init__(self, folder, replicas, log_level="warn", budget="2s"):
        self.folder = folder
        self.replicas = replicas
        os.chmod(folder, 0o777)
        self.nodes = [Memcached(f"m{i + 1}") for i in range(len(ZONES))]
        secret = secret_file(folder)
        self.relays = []
        self.servers = []
        for h in range(2):
            relays = [Relay(n.port, folder, f"r{h + 1}{n.name}")
                      for n in self.nodes]
            lines = [f"SessionHAServer name={n.name} address={r.address} "
                     f"zone={z}"
                     for n, r, z in zip(self.nodes, relays, ZONES)]
            conf = "\n".join(lines + [
                f"SessionHASecretFile {secret}",
                f"SessionHAReplicas {replicas}",
                f"SessionHATimeBudget {budget}", PAGE])
            server = Httpd(os.path.join(folder, f"httpd{h + 1}"), conf,
                           name=f"httpd{h + 1}", loglevel=log_level)
            server.file("s/page", "page\n")
            # a child that we killed, and what the module says under faults
            server.log.allow(r"AH00052: .* exit signal Killed \(9\)")
            server.log.allow(r"\[(session_ha|mpm_\w+|core):"
                             r"(warn|error)\]")
            self.relays.append(relays)
            self.servers.append(server)
        self.saves = [SaveLog(os.path.join(s.dir, SAVES))
                      for s in self.servers]

    def start(self):
        for node in self.nodes:
            node.start()
        for relay in self.all_relays():
            relay.start()
        for server in self.servers:
            server.start()
        self.wait_whole()
        return self

    def all_relays(self):
        return [relay for relays in self.relays for relay in relays]

    def stop(self):
        for server in self.servers:
            server.stop()
        for relay in self.all_relays():
            relay.kill9()
        for node in self.nodes:
            node.kill9()

    # ---- what the servers think of the nodes

    def states(self, host):
        """[(up or down, whole since)] of each node."""
        text = self.servers[host].get("/status?auto").text
        found = [line.split()[2:4] for line in text.splitlines()
                 if line.startswith("SessionHANode")]
        return [(word, int(since)) for word, since in found]

    def wait_whole(self, timeout=30):
        """Wait until both servers find all nodes up, and know since when;
        the times, by server and node."""
        def look():
            states = [self.states(host) for host in range(2)]
            whole = all(word == "up" and since > 0
                        for nodes in states for word, since in nodes)
            return whole and [[since for _, since in nodes]
                              for nodes in states]

        return wait_until(look, timeout, "all nodes up")

    # ---- faults

    def heal(self):
        for relay in self.all_relays():
            relay.heal()
        for node in self.nodes:
            if not node.is_running():
                node.start()
            elif node.frozen:
                node.thaw()

    def kill_a_child(self, host, draw):
        """kill -9 one child of the web server, as a crash would."""
        children = self.servers[host].children()
        if children:
            try:
                os.kill(draw.choice(children), signal.SIGKILL)
            except ProcessLookupError:
                pass

    def processes(self):
        """name -> pids, of the servers under test."""
        found = {s.name: [s.pid] + s.children() for s in self.servers}
        found.update({n.name: [n.pid] for n in self.nodes
                      if n.is_running()})
        return found


class SaveLog:
    """The end of a growing log."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.lock = threading.Lock()

    def take(self):
        """(operation, words) of each line that came since."""
        with self.lock:
            try:
                with open(self.path, "rb") as f:
                    f.seek(self.offset)
                    data = f.read()
            except FileNotFoundError:
                return []
            data = data[:data.rfind(b"\n") + 1]
            self.offset += len(data)
        pairs = (line.split("|", 1) for line in
                 data.decode(errors="replace").splitlines() if "|" in line)
        return [(int(number), words) for number, words in pairs
                if number.isdigit()]
