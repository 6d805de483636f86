#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What keeping sessions costs, ours and others', in one run.

usage: session_bench.py [--plan usual|quick|full] [--tools out/bench]
                        [--out out/bench] [--only none,ha2,...] [--write-doc]

All keepers (rivals.py) run at the same time and are measured one after the
other: in each round every one gets every load, and who begins changes. Numbers
are medians over the rounds, ratios the median of the rounds' own ratios. A load
makes its own sessions first; an answer that does not hold what was written last
is an error, and a keeper with errors has no speed.

The first part reaches stores directly. In the second a relay adds 0.5 ms each
way, and counts bytes. Then one of three nodes is frozen under load, and memory
is looked at. Writes table.txt, chart.svg, index.html and results.json to the
output folder, with --write-doc also docs/bench-session.md. MODULES, HTTPD and
APXS as for the tests.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report                                                 # noqa: E402
import rivals                                                 # noqa: E402

DELAY_USEC = 500
SETTLE_SEC = 3             # above HA_SKEW_USEC
BUCKET_MSEC = 100
SESSIONS_EACH = 2          # of each connection

Load = collections.namedtuple("Load", "writes size clients")
Plan = collections.namedtuple(
    "Plan", "rounds seconds direct relayed freeze_seconds sample")


def loads(writes, sizes, clients):
    return [Load(w, s, c) for s in sizes for w in writes for c in clients]


CORE = loads((0, 10, 100), (4096,), (1, 32))
PLANS = {
    # 4 kB: every load with 1 and 32 clients; other sizes: writes alone
    "usual": Plan(3, 0.8, CORE + loads((100,), (512, 1024, 16384), (32,)),
                  CORE + loads((100,), (512, 1024, 16384), (1,)), 8, 20000),
    "quick": Plan(1, 0.4, loads((0, 100), (4096,), (1, 32)),
                  loads((0, 100), (4096,), (1,)), 5, 2000),
    "full": Plan(3, 1.0, *[loads((0, 10, 100), (512, 1024, 4096, 16384),
                                 (1, 32))] * 2, 8, 20000),
}


# ---- processor time and memory of processes ----------------------------------

def stat_fields():
    """pid -> (parent, ticks of itself and of children it waited for)."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                words = f.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        table[int(name)] = int(words[1]), sum(map(int, words[11:15]))
    return table


def family(roots, table):
    """The pids among roots and their descendants."""
    children = collections.defaultdict(list)
    for pid, (parent, _) in table.items():
        children[parent].append(pid)
    found, todo = set(), list(roots)
    while todo:
        pid = todo.pop()
        if pid in table and pid not in found:
            found.add(pid)
            todo += children[pid]
    return found


def cpu_usec(roots):
    table = stat_fields()
    ticks = sum(table[pid][1] for pid in family(roots, table))
    return ticks * 1e6 / os.sysconf("SC_CLK_TCK")


def memory_kb(pid, field):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0


# ---- one measurement ---------------------------------------------------------

class BadAnswers(Exception):
    pass


def run_load(tools, keeper, load, seconds, sessions=SESSIONS_EACH, buckets=(),
             when_ready=None, goes_on=False):
    """What the load generator says, as a dict; when_ready() is called when
    the sessions are made, it is warm, and all begins to count. With goes_on
    bad answers are a result and not an end."""
    with subprocess.Popen(
            [os.path.join(tools, "load"), *["-f"][:goes_on],
             *(f"-c{cookie}" for cookie in keeper.first), str(keeper.port),
             keeper.path, str(load.clients), str(sessions), str(load.size),
             str(load.writes), str(seconds), *map(str, buckets)],
            text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as child:
        line = child.stdout.readline()
        if line == "ready\n":
            if when_ready:
                when_ready()
            line = child.stdout.readline()
        errors = child.stderr.read()
    if child.returncode or not line:
        raise BadAnswers((errors.strip().splitlines() or ["no word"])[-1])
    said = json.loads(line)
    if said["bad"] and not goes_on:
        raise BadAnswers(f"{said['bad']} bad answers: {said['first_bad']}")
    return said


def measure(tools, keeper, stores, network, load, seconds):
    """One keeper, one load, one round."""
    roots = [p.pid for p in keeper.processes() + stores.servers]
    readings = []

    def read():
        moved = network.moved() if network.delay_usec else (0, 0)
        readings.append((cpu_usec(roots), *moved))

    said = run_load(tools, keeper, load, seconds, when_ready=read)
    read()
    count = said["all"]["count"]
    if not count:
        raise BadAnswers("no answer in time")
    cpu, sent, got = (
        (after - before) / count for before, after in zip(*readings))
    return {"rate": count / seconds, "p50": said["all"]["p50"],
            "p99": said["all"]["p99"], "max": said["all"]["max"],
            "cpu": cpu, "sent": sent, "got": got}


def settle(args, keepers):
    """Let every httpd meet its nodes. Who looks after a session that began
    within two seconds of that asks all nodes whether it has ended; on servers
    that have been up for longer there are no such sessions."""
    for keeper in keepers:
        try:
            run_load(args.tools, keeper, Load(50, 1024, 4), 0.1)
        except BadAnswers:
            pass        # the same will be found, and told, where it counts
    time.sleep(SETTLE_SEC)


def run_phase(args, plan, keepers, stores, network, cells, results, failures):
    """All rounds of one part; results[cell][keeper] is a list of rounds."""
    which = "delay" if network.delay_usec else "direct"
    for i in range(plan.rounds):
        for load in cells:
            turn = i % len(keepers)
            for keeper in keepers[turn:] + keepers[:turn]:
                cell = (which,) + load
                if not keeper.can_keep(load.size):
                    continue
                try:
                    results[cell][keeper.name].append(measure(
                        args.tools, keeper, stores, network, load,
                        plan.seconds))
                except BadAnswers as e:
                    failures[cell, keeper.name].append(str(e))
        print(f"{which}: round {i + 1} of {plan.rounds} done", flush=True)


# ---- a node that freezes -----------------------------------------------------

def freeze(args, keeper, stores, seconds):
    """Load all the time, one of three nodes stopped in the middle of it."""
    frozen = []

    def stop_one():
        frozen.append(time.monotonic())
        stores.nodes[0].freeze()

    timer = threading.Timer(0.4 * seconds, stop_one)
    try:
        said = run_load(args.tools, keeper, Load(10, 4096, 32), seconds,
                        buckets=(BUCKET_MSEC,), when_ready=timer.start)
    except BadAnswers as e:
        return {"failed": str(e)}
    finally:
        timer.cancel()
        timer.join(10)
        stores.nodes[0].thaw()
    return report.judge_freeze(said["buckets"], BUCKET_MSEC / 1e3,
                               frozen[0] - said["begun"])


# ---- memory ------------------------------------------------------------------

def children_kb(keeper):
    """Of one child, on average: (private, proportional share)."""
    pids = keeper.httpd.children()
    return tuple(sum(memory_kb(pid, field) for pid in pids) / len(pids)
                 for field in ("Private_Dirty", "Pss"))


def item_kb(node):
    stats = node.stats()
    return stats["curr_items"], stats["bytes"], memory_kb(node.pid, "Rss")


def sample_memory(args, keeper, nodes, count, size=1024):
    """Make that many sessions; what they take on all nodes together."""
    before = [item_kb(node) for node in nodes]
    run_load(args.tools, keeper, Load(0, size, 20), 0, sessions=count // 20)
    after = [item_kb(node) for node in nodes]
    grown = [sum(a[i] - b[i] for a, b in zip(after, before))
             for i in range(3)]
    with_slabs = 0
    for node in nodes:
        with_slabs += report.slab_bytes(node.command("stats slabs").decode())
    return {"sessions": count // 20 * 20, "size": size,
            "copies": keeper.replicas, "items": grown[0],
            "item_bytes": grown[1] / max(1, grown[0]),
            "rss_kb": grown[2], "slab_bytes": with_slabs}


def look_at_memory(args, plan, folder):
    """Fresh nodes and a fresh server, so that all that grows is sessions."""
    stores = rivals.Stores(folder, {"ha2"})
    keeper = rivals.Ours("memory", 2)
    none = rivals.Nothing("memorynone")
    try:
        stores.start()
        keeper.start(folder, args.tools, stores, rivals.Direct())
        none.start(folder, args.tools, stores, rivals.Direct())
        empty = [memory_kb(node.pid, "Rss") for node in stores.nodes]
        sample = sample_memory(args, keeper, stores.nodes, plan.sample)
        run_load(args.tools, none, Load(0, 1024, 20), 1)
        run_load(args.tools, keeper, Load(50, 1024, 20), 1)
        return {"sample": sample, "node_empty_kb": max(empty),
                "child": children_kb(keeper), "child_none": children_kb(none)}
    finally:
        for server in (keeper, none, stores):
            server.stop()


# ---- all ---------------------------------------------------------------------

def start_phase(args, folder, wanted, delay_usec):
    """(stores, network, keepers), started; whoever fails ends them all."""
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    keepers = [k for k in rivals.all_keepers() if k.name in wanted]
    if delay_usec:
        keepers = [k for k in keepers if k.is_remote]
    stores = rivals.Stores(folder, wanted)
    network = (rivals.Relayed(args.tools, delay_usec) if delay_usec
               else rivals.Direct())
    started = [stores, network]
    try:
        stores.start()
        for server in stores.servers:
            network.to(server.port)
        network.start()
        for keeper in keepers:
            started.append(keeper)
            keeper.start(folder, args.tools, stores, network)
    except BaseException:
        stop_all(started)
        raise
    return stores, network, keepers


def stop_all(servers):
    for server in reversed(servers):
        server.stop()


def complaints(keepers):
    """What the servers logged, shortened: a keeper's troubles are a result."""
    found = {}
    for keeper in keepers:
        lines = keeper.httpd.log.lines("warn")
        with open(os.path.join(keeper.httpd.dir, "access_log")) as f:
            degraded = sum(" degraded " in line for line in f)
        if lines or degraded:
            found[keeper.name] = {"lines": len(lines), "degraded": degraded,
                                  "first": lines[0] if lines else ""}
    return found


def run(args, plan, folder):
    results = collections.defaultdict(lambda: collections.defaultdict(list))
    failures = collections.defaultdict(list)
    extra = {"complaints": {}}
    for delay, cells in ((0, plan.direct), (DELAY_USEC, plan.relayed)):
        where = os.path.join(folder, "delay" if delay else "direct")
        stores, network, keepers = start_phase(args, where, args.only, delay)
        try:
            settle(args, keepers)
            run_phase(args, plan, keepers, stores, network, cells, results,
                      failures)
            extra["complaints"][os.path.basename(where)] = complaints(keepers)
            ours = [k for k in keepers if k.name == "ha2"]
            if not delay and ours and plan.freeze_seconds:
                extra["freeze"] = freeze(args, ours[0], stores,
                                         plan.freeze_seconds)
        finally:
            stop_all([stores, network] + keepers)
    if plan.sample and "ha2" in args.only:
        where = os.path.join(folder, "memory")
        os.mkdir(where)
        os.chmod(where, 0o755)
        extra["memory"] = look_at_memory(args, plan, where)
    return results, failures, extra


def machine():
    """What the numbers are of; no name."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"model": model, "cores": os.cpu_count(),
            "memory_gb": round(memory / 2**30), "kernel": os.uname().release,
            "load": os.getloadavg()[0]}


def parse(argv, names, out=""):
    """The words of a bench; results go to out, below the tools."""
    ask = argparse.ArgumentParser()
    ask.add_argument("--plan", choices=sorted(PLANS), default="usual")
    ask.add_argument("--tools", default=os.path.join(rivals.ROOT, "out",
                                                     "bench"))
    ask.add_argument("--out")
    ask.add_argument("--only", default=",".join(names))
    ask.add_argument("--write-doc", action="store_true")
    args = ask.parse_args(argv)
    args.only = set(args.only.split(","))
    args.out = args.out or os.path.join(args.tools, out)
    if args.only - set(names):
        ask.error(f"--only knows {', '.join(names)}")
    return args


def bench(argv=None):
    """Measure, leave the files, say it; returns what was found."""
    args = parse(argv, [k.name for k in rivals.all_keepers()])
    begun = time.monotonic()
    host = machine()
    folder = tempfile.mkdtemp(prefix="session-bench-")
    os.chmod(folder, 0o755)
    try:
        results, failures, extra = run(args, PLANS[args.plan], folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    titles = {k.name: k.title for k in rivals.all_keepers()
              if k.name in args.only}
    data = report.Data(args.plan, host, titles, results, failures, extra,
                       time.monotonic() - begun)
    report.write_all(data, args.out)
    if args.write_doc:
        report.write_doc(data, os.path.join(rivals.ROOT, "docs",
                                            "bench-session.md"))
    print(report.text(data))
    print(f"{args.out}: table.txt chart.svg index.html results.json")
    return data


if __name__ == "__main__":
    bench()
