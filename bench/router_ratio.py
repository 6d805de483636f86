#!/usr/bin/python3 -I
# SPDX-License-Identifier: Apache-2.0
"""What the router costs: requests a second through it and through the stock
balancer, over the same two backends, one after the other in one run.

usage: router_ratio.py [--rounds 25] [--seconds 1] [--connections 8]
                       [--goal 0.95]

Every client sends a session cookie: to the stock balancer s.A, to the router
0000s:A:B. Rounds alternate, and so does who begins, so that a slow minute of
the machine hits both. The ratio is the median of the rounds' own ratios; the
run fails below the goal. Printed beside it, because other work on the machine
disturbs it less: the processor time that httpd itself spent on a request.
MODULES, HTTPD and APXS as for the tests.
"""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))

from httpd import Httpd                                       # noqa: E402

SESSIONS = 64
SCRIPT = """local n = 0
request = function()
  n = n + 1
  return wrk.format("GET", "/page.html", {{
    ["Cookie"] = "theme=dark; JSESSIONID=" .. string.format({form},
      n % {sessions}, n % 2 == 0 and "A" or "B") .. "; lang=en"}})
end
"""
FORMS = {
    "stock": '"0000session%06dabcdefghi.%s"',
    "router": '"0000session%06dabcdefghi:%s:C"',
}


def front(folder, name, members, inside, own):
    """A web server before the backends, and no log but errors."""
    conf = (f"CustomLog /dev/null common\n<Proxy balancer://shop>\n{members}"
            f"ProxySet stickysession=JSESSIONID|jsessionid\n{inside}</Proxy>\n"
            "ProxyPass / balancer://shop/\n")
    return Httpd(os.path.join(folder, name), conf, own=own, loglevel="warn",
                 name=name).start()


def cpu_usec(server):
    """Processor time of the server's children so far."""
    ticks = 0
    for pid in server.children():
        with open(f"/proc/{pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
        ticks += int(words[11]) + int(words[12])
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def measure(server, form, folder, seconds, connections):
    """Requests a second and microseconds of processor time for each; fails
    when an answer was no 2xx or none came."""
    path = os.path.join(folder, "script.lua")
    with open(path, "w") as f:
        f.write(SCRIPT.format(form=form, sessions=SESSIONS))
    before = cpu_usec(server)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", path,
         server.url], text=True, check=True, stdout=subprocess.PIPE)
    spent = cpu_usec(server) - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    count = re.search(r"(\d+) requests in", done.stdout)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout or not (
            rate and count):
        raise RuntimeError(f"{server.name}: bad answers:\n{done.stdout}")
    return float(rate.group(1)), spent / int(count.group(1))


def run(folder, args):
    servers = []
    try:
        members = ""
        for route in "AB":
            backend = Httpd(os.path.join(folder, "backend" + route), "",
                            own=(), loglevel="warn", name="backend" + route)
            servers.append(backend.start())
            backend.file("page.html", "x" * 1024)
            members += f"BalancerMember {backend.url} route={route}\n"
        fronts = {
            "stock": front(folder, "stock", members, "", ()),
            "router": front(folder, "router", members,
                            "ProxyCloneRouting On\n",
                            ("proxy_balancer_clone",)),
        }
        servers += fronts.values()
        for name, server in fronts.items():       # warm up, not counted
            measure(server, FORMS[name], folder, 1, args.connections)
        rates = {"stock": [], "router": []}
        costs = {"stock": [], "router": []}
        for i in range(args.rounds):
            for name in sorted(fronts, reverse=i % 2):
                rate, cost = measure(fronts[name], FORMS[name], folder,
                                     args.seconds, args.connections)
                rates[name].append(rate)
                costs[name].append(cost)
            print(f"round {i + 1}: stock {rates['stock'][-1]:8.0f}/s  "
                  f"router {rates['router'][-1]:8.0f}/s  ratio "
                  f"{rates['router'][-1] / rates['stock'][-1]:.3f}",
                  flush=True)
        bad = [line for s in servers for line in s.log.lines("warn")]
        if bad:
            raise RuntimeError("the servers complained:\n" + "\n".join(bad))
        return rates, costs
    finally:
        for server in reversed(servers):
            server.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--goal", type=float, default=0.95)
    args = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("router_ratio: wrk is missing: make deps")
    folder = tempfile.mkdtemp(prefix="router-ratio-")
    os.chmod(folder, 0o755)
    try:
        rates, costs = run(folder, args)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratio = statistics.median(r / s for r, s in zip(rates["router"],
                                                    rates["stock"]))
    print(f"median: stock {statistics.median(rates['stock']):.0f}/s  router "
          f"{statistics.median(rates['router']):.0f}/s  ratio {ratio:.3f}  "
          f"goal {args.goal}")
    print(f"processor time a request: stock "
          f"{statistics.median(costs['stock']):.1f} us  router "
          f"{statistics.median(costs['router']):.1f} us")
    return 0 if ratio >= args.goal else 1


sys.exit(main())
