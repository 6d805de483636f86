#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What routing costs, ours and others', and what clones that die do to it.

usage: router_bench.py [--plan usual|quick|full] [--tools out/bench]
                       [--out out/bench/router] [--only stock,ours,...]
                       [--write-doc]

All routers (routers.py) run at the same time before the same clones, and are
measured one after the other: in each round every one gets every load, and who
begins changes. Numbers are medians over the rounds, ratios the median of the
rounds' own ratios. Every client keeps its connection and some sessions; an
answer from another clone than the session's is a bad one while all clones live.

Then each router in turn has clones killed: one every two seconds, which is back
a second later. At last our router and the stock balancer get more members, and
more sessions to know.

Writes table.txt, chart.svg, index.html and results.json to the output folder,
with --write-doc also docs/bench-router.md. MODULES, HTTPD and APXS as for the
tests.
"""

import collections
import os
import resource
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import router_report                                          # noqa: E402
import routers                                                # noqa: E402
from session_bench import (BadAnswers, Load, cpu_usec,        # noqa: E402
                           machine, parse, run_load)

CLONES = 4
CLIENTS = 32               # of all parts but the first
SESSIONS_EACH = 2          # of each client
MEMBER_SESSIONS = 20       # the same where members are many: all get some
KILL_EVERY_SEC = 2
AWAY_SEC = 1

Plan = collections.namedtuple(
    "Plan", "rounds seconds clients kill_seconds members sessions")

PLANS = {
    "usual": Plan(5, 1.0, (1, 32, 128), 20, (2, 10, 100, 500),
                  (1000, 10000, 100000)),
    "quick": Plan(2, 0.5, (1, 32, 128), 8, (2, 100), (1000, 10000)),
    "full": Plan(9, 2.0, (1, 32, 128), 60, (2, 10, 100, 500),
                 (1000, 10000, 100000)),
}


# ---- one measurement ---------------------------------------------------------

def measure(tools, router, clients, seconds, sessions=SESSIONS_EACH):
    """One router, one load, one round."""
    roots = [p.pid for p in router.processes()]
    readings = []

    def read():
        readings.append(cpu_usec(roots))

    said = run_load(tools, router, Load(0, 0, clients), seconds, sessions,
                    when_ready=read)
    read()
    count = said["all"]["count"]
    if not count:
        raise BadAnswers("no answer in time")
    if said["moved"] > router.moves_once * clients * sessions:
        raise BadAnswers(f"{said['moved']} of {count} requests went to "
                         "another clone than their session's")
    return {"rate": count / seconds, "p50": said["all"]["p50"],
            "p99": said["all"]["p99"], "max": said["all"]["max"],
            "cpu": (readings[1] - readings[0]) / count}


def run_rounds(args, plan, cell, chosen, found, **more):
    """All rounds of one cell; who begins changes."""
    results, failures = found
    for i in range(plan.rounds):
        turn = i % len(chosen)
        for router in chosen[turn:] + chosen[:turn]:
            try:
                results[cell][router.name].append(measure(
                    args.tools, router, seconds=plan.seconds, **more))
            except BadAnswers as e:
                failures[cell, router.name].append(str(e))
    print(f"{router_report.cell_title(cell)}: done", flush=True)


# ---- clones that die ---------------------------------------------------------

class Killer(threading.Thread):
    """Kills the clones in turn, each for a second, until told to stop. A clone
    ends with the thread that started it: revive() when this one has ended."""

    def __init__(self, clones):
        super().__init__(daemon=True)
        self.clones = clones
        self.is_over = threading.Event()
        self.kills = 0

    def run(self):
        while not self.is_over.wait(KILL_EVERY_SEC - AWAY_SEC):
            clone = self.clones[self.kills % len(self.clones)]
            clone.kill9()
            self.kills += 1
            if self.is_over.wait(AWAY_SEC):
                break
            clone.start()

    def end(self):
        self.is_over.set()
        if self.ident:
            self.join(30)


def revive(clones):
    for clone in clones:
        clone.kill9()
        clone.start()


def under_fire(args, router, clones, seconds):
    """What a router makes of clones that die under load."""
    killer = Killer(clones)
    try:
        said = run_load(args.tools, router, Load(0, 0, CLIENTS), seconds,
                        SESSIONS_EACH, when_ready=killer.start, goes_on=True)
    except BadAnswers as e:
        return {"broken": str(e)}
    finally:
        killer.end()
        revive(clones)
    return {"kills": killer.kills, "count": said["all"]["count"],
            "failed": said["bad"], "slow": said["slow"],
            "moved": said["moved"], "rate": said["all"]["count"] / seconds,
            "p99": said["all"]["p99"], "max": said["all"]["max"],
            "first_bad": said["first_bad"]}


# ---- growth ------------------------------------------------------------------

class Placed(routers.Ours):
    """Every session names a clone that is none of ours, and is placed."""

    name = "placed"
    title = "the same, sessions of unknown clones"
    path = "/app"
    cookie = routers.Stock.cookie
    moves_once = True


def with_members(args, plan, count, classes, folder, found):
    """The same load before more and more members."""
    members = [routers.Member(f"m{i}") for i in range(count)]
    with running([routers.Clones(args.tools, members)],
                 [c() for c in classes], folder, members) as chosen:
        run_rounds(args, plan, ("members", count), chosen, found,
                   clients=CLIENTS, sessions=MEMBER_SESSIONS)


def with_sessions(args, plan, count, classes, folder, found):
    """The same load with more and more sessions, all in use."""
    members = [routers.Member(chr(ord("A") + i)) for i in range(CLONES)]
    few = plan._replace(rounds=min(plan.rounds, 2), seconds=2 * plan.seconds)
    with running([routers.Clones(args.tools, members)],
                 [c() for c in classes], folder, members) as chosen:
        run_rounds(args, few, ("sessions", count), chosen, found,
                   clients=CLIENTS, sessions=max(1, count // CLIENTS))


# ---- all ---------------------------------------------------------------------

class running:
    """Clones and routers, while it lasts; whoever fails ends them all."""

    def __init__(self, clones, chosen, folder, members):
        self.started = []
        self.clones = clones
        self.chosen = chosen
        self.folder = folder
        self.members = members

    def __enter__(self):
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o755)
        try:
            for clone in self.clones:
                self.started.append(clone)
                clone.start()
            for router in self.chosen:
                self.started.append(router)
                router.start(self.folder, self.members)
        except BaseException:
            self.__exit__()
            raise
        return self.chosen

    def __exit__(self, *unused):
        for server in reversed(self.started):
            server.stop()


def run(args, plan, folder):
    results = collections.defaultdict(lambda: collections.defaultdict(list))
    failures = collections.defaultdict(list)
    found = results, failures
    fire = {}
    classes = [c for c in routers.ALL if c.name in args.only and c.is_here()]
    members = [routers.Member(chr(ord("A") + i)) for i in range(CLONES)]
    clones = [routers.Clones(args.tools, [m]) for m in members]
    with running(clones, [c() for c in classes],
                 os.path.join(folder, "all"), members) as chosen:
        for clients in plan.clients:
            run_rounds(args, plan, ("clients", clients), chosen, found,
                       clients=clients)
        for router in chosen if plan.kill_seconds else ():
            fire[router.name] = under_fire(args, router, clones,
                                           plan.kill_seconds)
            print(f"{router.title}, clones killed: done", flush=True)
        complaints = {r.name: r.complaints() for r in chosen}
    ours = [c for c in classes if c in (routers.Stock, routers.Ours)]
    for count in plan.members if ours else ():
        with_members(args, plan, count, ours + [Placed][:routers.Ours in ours],
                     os.path.join(folder, f"members{count}"), found)
    for count in plan.sessions if ours else ():
        with_sessions(args, plan, count, ours,
                      os.path.join(folder, f"sessions{count}"), found)
    return results, failures, fire, complaints


def bench(argv=None, host=None):
    """Measure, leave the files, say it; returns what was found. host is what
    machine() said before anything was measured, where this is not the first."""
    args = parse(argv, [c.name for c in routers.ALL], "router")
    # A connection to each of many members, and one from each client.
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    begun = time.monotonic()
    host = host or machine()
    folder = tempfile.mkdtemp(prefix="router-bench-")
    os.chmod(folder, 0o755)
    try:
        results, failures, fire, complaints = run(args, PLANS[args.plan],
                                                  folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    titles = {c.name: c.title for c in (*routers.ALL, Placed)
              if c.name in args.only or c is Placed}
    data = router_report.Data(args.plan, host, titles, results, failures,
                              fire, complaints, time.monotonic() - begun)
    router_report.write_all(data, args.out)
    if args.write_doc:
        router_report.write_doc(data, os.path.join(routers.ROOT, "docs",
                                                   "bench-router.md"))
    print(router_report.text(data))
    print(f"{args.out}: table.txt chart.svg index.html results.json")
    return data


if __name__ == "__main__":
    bench()
