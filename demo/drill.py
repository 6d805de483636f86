#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The drill: servers of the demonstration die while users shop.

usage: drill.py --modules FOLDER [--seconds N] [--seed N] [--out FOLDER]
                [--write-doc]

Starts the site, writes a plan for it, and runs tools/session-ha-drill with
that plan. The exit status is that command's; the last line is "N passed, N
failed", for check.py: a fault that harmed nobody is one that passed.
"""

import argparse
import datetime
import os
import platform
import re
import shutil
import socket
import subprocess
import sys

from demo import in_folder, missing
from process import free_port
from site_servers import HERE, Site
from httpd import httpd_binary

ROOT = os.path.dirname(HERE)
COMMAND = os.path.join(ROOT, "tools", "session-ha-drill")
DOC = os.path.join(ROOT, "docs", "drill.md")

USERS = r"""
[users]
count = 6
pause = 0.1
changes = 6
page = '<title>The shop that stays open</title>'
settled = 'data-copies="2/2"'

[[users.facts]]
name = "user"
find = '<body [^>]*data-user="([^"]*)"'

[[users.steps]]
name = "log in"
does = "login"
path = "/login"
form = { user = "{user}" }
status = [303]
idempotent = true
set = { user = "{user}" }

[[users.steps]]
name = "look"
does = "look"
path = "/"

[[users.steps]]
name = "log out"
does = "logout"
path = "/logout"
status = [303]
idempotent = true
"""

ITEM = r"""
[[users.facts]]
name = "{item}"
find = 'data-item="{item}" data-count="(\d+)"'

[[users.steps]]
name = "add {item}"
does = "change"
path = "/basket"
form = {{ item = "{item}", change = "1" }}
status = [303]
add = {{ {item} = 1 }}

[[users.steps]]
name = "take {item} out"
does = "change"
path = "/basket"
form = {{ item = "{item}", change = "-1" }}
status = [303]
add = {{ {item} = -1 }}
"""

FAULTS = """
[faults]
at_once = 2
one_of_a_group = true
lasts = [1.0, 3.0]
pause = [0.3, 1.0]
stop_percent = 25
"""


def words(values):
    return "[" + ", ".join(f'"{value}"' for value in values) + "]"


class Shop(Site):
    """The demonstration's site with a relay before each memcached."""

    def __init__(self, folder, modules):
        super().__init__(folder, modules)
        self.relays = {node.name: free_port() for node in self.nodes}
        for web in self.webs:
            for name, port in self.relays.items():
                web.defines[f"NODE_{name.upper()}"] = port
            web.defines["DRILL"] = "1"
        self.control = os.path.join(folder, "control")

    def pid_file(self, server):
        return os.path.join(self.folder, server.name + ".pid")

    def note_pid(self, server):
        with open(self.pid_file(server), "w") as f:
            f.write(f"{server.pid}\n")

    def target(self, server, group, ways, more=()):
        start = words([sys.executable, os.path.join(HERE, "revive.py"),
                       self.control, server.name])
        return "\n".join([
            "", "[[targets]]", f'name = "{server.name}"',
            f'group = "{group}"', f"ways = {words(ways)}",
            f'pid_file = "{self.pid_file(server)}"', "pid_group = true",
            f"start = {start}", *more, ""])

    def plan(self):
        urls = [web.url.rstrip("/") for web in self.webs]
        parts = ["[site]", f"webs = {words(urls)}", "timeout = 20",
                 "slow = 3"]
        for url in urls:
            parts += ["", "[[site.whole]]", f'url = "{url}/server-status?auto"',
                      "see = ['SessionHANode0: ']",
                      r"see_not = ['SessionHANode\d+: \S+ down']"]
        parts.append(USERS)
        parts += [ITEM.format(item=item) for item in ("tea", "cup", "book")]
        parts += [self.target(web, "web servers", ["kill"],
                              [f'url = "{web.url.rstrip("/")}"'])
                  for web in self.webs]
        parts += [self.target(clone, "clones", ["kill", "stop"])
                  for clone in self.clones]
        parts += [self.target(
            node, "memcached", ["kill", "stop", "cut", "slow"],
            [f'relay = "127.0.0.1:{self.relays[node.name]}"',
             f'to = "127.0.0.1:{node.port}"', "delay = 0.05"])
            for node in self.nodes]
        parts.append(FAULTS)
        return "\n".join(parts)

    def serve(self, listener, drill):
        """Revive what the drill asks for, here: servers end with the thread
        that started them."""
        listener.settimeout(0.2)
        while drill.poll() is None:
            try:
                asker, _ = listener.accept()
            except TimeoutError:
                continue
            with asker:
                asker.settimeout(5)
                name = asker.makefile().readline().strip()
                asker.sendall(self.revive_by_name(name).encode() + b"\n")

    def revive_by_name(self, name):
        server = next((s for s in self.servers if s.name == name), None)
        if server is None:
            return f"there is no {name}"
        try:
            self.revive(server)
        except (RuntimeError, AssertionError, OSError) as e:
            return " ".join(str(e).split())
        self.note_pid(server)
        return "ok"

    def rehearse(self, options):
        """Run the command; its exit status and the folder of its report."""
        plan = os.path.join(self.folder, "plan.toml")
        for server in self.servers:
            self.note_pid(server)
        with open(plan, "w") as f:
            f.write(self.plan())
        argv = [sys.executable, COMMAND, plan, "--seconds",
                str(options.seconds), "--report", options.out]
        if options.seed:
            argv += ["--seed", str(options.seed)]
        shutil.copy(plan, os.path.join(options.out, "plan.toml"))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(self.control)
            listener.listen(8)
            drill = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                     start_new_session=True)
            try:
                self.serve(listener, drill)
            except BaseException:
                drill.terminate()       # it brings back what is out
                self.serve(listener, drill)
                raise
        return drill.returncode


# ---- what was seen ----------------------------------------------------------

def grave_lines(site):
    """Lines of the web servers' logs that nobody wants to see."""
    marks = (":crit]", ":alert]", ":emerg]", "exit signal",
             "session_ha:error]")
    return [line for web in site.webs for line in web.log().splitlines()
            if any(mark in line for mark in marks)]


def counts(report, status, grave):
    """(passed, failed): a round that harmed nobody, and what must be 0."""
    rows = re.findall(r"^  \S+ (?:kill|stop|cut|slow)\b.*?"
                      r"  +[\d.]+  +[\d.]+  +[\d.]+  +(never|[\d.]+)"
                      r"  +(\d+)  +(\d+)  ", report, re.M)
    passed = sum(row[0] != "never" and row[1:] == ("0", "0") for row in rows)
    failed = len(rows) - passed
    if status or grave or not rows:
        failed = max(failed, 1)
    return passed, failed


def version(argv):
    text = subprocess.run(argv, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, check=False).stdout
    return re.search(r"\d+\.\d+\.\d+", text)[0]


def processor():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"^model name\s*: (.+)$", f.read(), re.M)
    return found[1] if found else platform.machine()


def write_doc(report, options):
    """All but the table of rounds, which the seed plays again."""
    report = report.partition("\n\n  round ")[0] + "\n"
    shutil.copy(os.path.join(options.out, "drill.svg"),
                os.path.join(ROOT, "docs", "drill.svg"))
    seed = re.search(r"^  seed +(\d+)$", report, re.M)[1]
    made = f"make drill DRILL_SECONDS={options.seconds:g} DRILL_SEED={seed}"
    with open(DOC, "w") as f:
        f.write(f"""<!-- SPDX-License-Identifier: Apache-2.0 -->
# The drill

What `session-ha-drill` saw on the demonstration's site: two web servers, three
clones, three memcached in two zones, six users who log in, fill a basket, look
and log out, and try their old cookies afterwards. Up to two servers are out at
a time, never two of one kind; each round waits until the site is whole. The
same again (`WRITE_DOC=1` writes this page):

    {made}

* {datetime.date.today()}, {os.cpu_count()} processors ({processor()}), \
{platform.system()} {platform.release().split("-")[0]}
* httpd {version([httpd_binary(), "-v"])}, memcached \
{version(["memcached", "-V"])}, Python {platform.python_version()}

A request of which nobody can know the outcome, because the web server that
held it was killed, may have had its effect or not; what is safe to send twice
was sent again to the other web server and had to succeed. `normal` is from a
fault until the last request that took more than 0.5 s, or was sent again, had
ended; `whole` from when everything was brought back until the site and every
user said so, in seconds; "never" when they did not. Beside a server the strip
shows when it was out and how; beside "late" are requests that took more than
0.5 s, beside "slow" more than 3 s, beside "lost" what users missed, each where
it was, and the line below says what the letters mean.

![](drill.svg)

```
{report}```
""")


def run(folder, options):
    with Shop(folder, options.modules) as site:
        status = site.rehearse(options)
        grave = grave_lines(site)
        for web in site.webs:
            shutil.copy(web.error_log, os.path.join(
                options.out, web.name + "-error_log"))
    for line in grave[:20]:
        print(line)
    try:
        with open(os.path.join(options.out, "drill.txt")) as f:
            report = f.read()
    except FileNotFoundError:
        report = ""
    passed, failed = counts(report, status, grave)
    if options.write_doc and not failed:
        write_doc(report, options)
        print(f"written: {os.path.relpath(DOC, ROOT)}")
    print(f"{passed} passed, {failed} failed", flush=True)
    return status or (1 if failed else 0)


def make_empty(folder):
    """Make it, or empty it of an older report; why not, or None."""
    if os.path.lexists(folder):
        if os.path.islink(folder) or not os.path.isdir(folder):
            return f"'{folder}' is no folder"
        found = os.listdir(folder)
        if found and not {"drill.txt", "plan.toml"} & set(found):
            return f"'{folder}' holds no drill's report, but '{found[0]}': " \
                   "it is not removed; name another folder"
        shutil.rmtree(folder)
    os.makedirs(folder)
    return None


def main():
    parser = argparse.ArgumentParser(
        description="servers of the demonstration die while users shop")
    parser.add_argument("--modules", required=True, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=os.path.join(ROOT, "out", "drill"))
    parser.add_argument("--write-doc", action="store_true")
    options = parser.parse_args()
    if missing(options.modules):
        print(f"drill: {missing(options.modules)} is missing: run make",
              file=sys.stderr)
        return 1
    why = make_empty(options.out)
    if why:
        print(f"drill: --out: {why}", file=sys.stderr)
        return 2
    return in_folder("session-ha-drill-", lambda folder: run(folder, options),
                     130)


if __name__ == "__main__":
    sys.exit(main())
