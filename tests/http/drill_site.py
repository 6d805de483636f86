# SPDX-License-Identifier: Apache-2.0
"""A site for the drill to rehearse on: a shop in this process that can be told
to misbehave, and parts that are processes with nothing to do."""

import http.server
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse

import pytest

from process import free_port, is_alive, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import judge, plan as plans     # noqa: E402

COMMAND = os.path.join(ROOT, "tools", "session-ha-drill")
PYTHON = "/usr/bin/python3"
# A process that outlives who started it, and says who it is.
PART = ("import subprocess, sys; p = subprocess.Popen(['sleep', '300'], "
        "start_new_session=True, stdout=subprocess.DEVNULL, "
        "stderr=subprocess.DEVNULL); "
        "open(sys.argv[1], 'w').write(str(p.pid))")
ASK = "import sys, urllib.request as u; u.urlopen(sys.argv[1]).read()"

PLAN = r"""
[site]
webs = ["{web}"]
timeout = 5
whole_within = 5

[[site.whole]]
url = "{web}/health"
see = ['well']

[users]
count = 2
pause = 0.01
changes = 3
page = 'the shop'

[[users.facts]]
name = "user"
find = 'user=(\w*)'

[[users.facts]]
name = "tea"
find = 'tea=(\d*)'

[[users.steps]]
name = "log in"
does = "login"
path = "/login"
form = {{ user = "{{user}}" }}
set = {{ user = "{{user}}" }}

[[users.steps]]
name = "look"
does = "look"
path = "/"

[[users.steps]]
name = "add tea"
does = "change"
path = "/basket"
add = {{ tea = 1 }}

[[users.steps]]
name = "log out"
does = "logout"
path = "/logout"
"""

FAULTS = """
[faults]
at_once = 1
lasts = [0.1, 0.2]
pause = 0
"""

TARGETS = """
[[targets]]
name = "m1"
group = "memcached"
ways = ["kill", "stop"]
pid_file = "m1.pid"
start = ["start", "m1"]

[[targets]]
name = "m2"
group = "memcached"
ways = ["kill", "cut"]
pid_file = "m2.pid"
start = ["start", "m2"]
relay = "127.0.0.1:1"
to = "127.0.0.1:2"

[[targets]]
name = "web"
url = "http://web:80"
ways = ["kill"]
unit = "apache2"
"""
# A whole plan, of which there need be no site.
GOOD = PLAN.format(web="http://web:80") + TARGETS + FAULTS + """
[schedule]
days = ["mon", "tue"]
from = "09:00"
to = "17:30"
"""


def read(folder, text):
    path = os.path.join(folder, "plan.toml")
    with open(path, "w") as f:
        f.write(text)
    return plans.read_plan(path)


class Shop(http.server.BaseHTTPRequestHandler):
    """Keeps sessions in site.sessions; site.mood says how badly."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *args):
        pass

    def reply(self, text, status=200, cookie=None):
        self.send_response(status)
        if cookie:
            self.send_header("Set-Cookie", f"S={cookie}; Path=/")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        site = self.server.site
        if self.path == "/health":
            return self.reply("well" if site.is_whole else "ill")
        if self.path.startswith("/mood/"):
            site.mood = self.path[len("/mood/"):]
            site.woken.clear()
            if site.mood == "good":
                site.woken.set()
            return self.reply("ok")
        site.requests += 1
        if site.mood == "hangs":
            site.woken.wait(60)
        if site.mood == "refuses":
            return self.reply("no", 503)
        if site.mood == "strays":
            return self.reply("another page")
        session = site.find(self.headers.get("Cookie", ""))
        self.reply(f"the shop user={session.get('user', '')} "
                   f"tea={session.get('tea', 0)}")

    def do_POST(self):
        site = self.server.site
        site.requests += 1
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/login":
            name = secrets.token_hex(8)
            site.sessions[name] = dict(urllib.parse.parse_qsl(body))
            return self.reply("ok", cookie=name)
        session = site.find(self.headers.get("Cookie", ""))
        if self.path == "/basket":
            twice = 2 if site.mood == "doubles" else 1
            if site.mood != "forgets":
                session["tea"] = session.get("tea", 0) + twice
        elif site.mood != "revives":
            session.clear()
        self.reply("ok")


def hear_signals():
    """In a child: what runs in the background of a shell ignores two, and the
    command would go on ignoring them."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class FakeSite:
    """Use as a context. mood: "good", "forgets" (changes), "revives" (what
    was logged out), "doubles", "refuses", "hangs", "strays" (to another
    page)."""

    def __init__(self, folder):
        self.folder = folder
        self.mood = "good"
        self.woken = threading.Event()
        self.is_whole = True
        self.requests = 0
        self.sessions = {}
        self.parts = []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
        self.server.site = self
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.plan_path = os.path.join(folder, "plan.toml")

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.05,),
                         daemon=True).start()
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()
        for name in self.parts:
            subprocess.run(["kill", "-9", str(self.pid(name))], check=False,
                           stderr=subprocess.DEVNULL)

    def find(self, cookie):
        found = re.search(r"S=(\w+)", cookie)
        return self.sessions.get(found[1], {}) if found else {}

    # ---- parts

    def pid_file(self, name):
        return os.path.join(self.folder, name + ".pid")

    def pid(self, name):
        with open(self.pid_file(name)) as f:
            return int(f.read())

    def part(self, name, ways='["kill", "stop"]', more=""):
        """Starts a process; returns the lines of the plan for it."""
        start = [PYTHON, "-c", PART, self.pid_file(name)]
        subprocess.run(start, check=True)
        wait_until(lambda: is_alive(self.pid(name)), 5, f"part {name}")
        self.parts.append(name)
        return (f'[[targets]]\nname = "{name}"\ngroup = "parts"\n'
                f'ways = {ways}\npid_file = "{self.pid_file(name)}"\n'
                f'start = {start!r}\n{more}\n')

    def turn(self, mood):
        """The lines of a target that changes the shop's mood for a while."""
        return (f'[[targets]]\nname = "shop"\nways = ["{mood}"]\n'
                f'[targets.commands.{mood}]\n'
                f'do = {[PYTHON, "-c", ASK, f"{self.url}/mood/{mood}"]!r}\n'
                f'undo = {[PYTHON, "-c", ASK, f"{self.url}/mood/good"]!r}\n')

    # ---- the command

    def plan(self, targets, faults=FAULTS):
        with open(self.plan_path, "w") as f:
            f.write(PLAN.format(web=self.url) + targets + faults)
        return self.plan_path

    def drill(self, *words):
        """(exit status, what it printed)"""
        done = subprocess.run(
            [PYTHON, COMMAND, self.plan_path, *words], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            timeout=120)
        return done.returncode, done.stdout


class Listener:
    """Takes connections; each has a thread."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.at = self.socket.getsockname()
        self.count = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                line, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(line,),
                             daemon=True).start()


class Crew:
    """What a user shares with the others. dead: the server that is out."""

    def __init__(self, plan, dead=None):
        self.plan = plan
        self.tally = judge.Tally()
        self.seed = 1
        self.run = "a"
        self.over = threading.Event()
        self.dead = dead

    def was_out(self, url, since):
        return url == self.dead


def unused_endpoint():
    return f"127.0.0.1:{free_port()}"


@pytest.fixture
def fake(workdir):
    with FakeSite(workdir) as site:
        yield site
