#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Long runs that watch memory and open files:
    soak.py [--what session|router|both] [--seconds N] [--seed N]
            [--replicas 2|3] [--out FOLDER]

session plays histories under faults (run.py), router clones that are killed
and frozen under load (tests/http/router_kill.py), both one after the other,
half of the time each. Meanwhile every process is measured: proportional memory
(PSS), resident memory and open files. A server is a name: its children are
added up, also those that were killed by the plan and replaced.

Web servers must stay flat (flat.py). Nodes and clones must in their open files,
which are connections of the web servers; the memory of nodes is what they are
given, up to their -m, and clones are a part of the test: both are drawn alone.
A page, a plot of each quantity and all measurements are left in the folder.
Exit 0: no promise was broken, and all was flat. What is too short to be judged
is not flat.
"""

import argparse
import csv
import html
import os
import random
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "http"),
                os.path.join(ROOT, "bench")]

import flat                              # noqa: E402
import report                            # noqa: E402
from game import play, story             # noqa: E402
from plan import make_plan               # noqa: E402
from router_kill import Kills            # noqa: E402

UNITS = {"memory": "kB, proportional", "resident": "kB, resident",
         "files": "open files", "processes": "processes"}
EVERY_SEC = 1.0               # between measurements, at least
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8d6a9f", "#b08900", "#555555")


# ---- measuring ---------------------------------------------------------------

def memory_of(pid):
    """(proportional, resident) kB."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        words = dict(line.split()[:2] for line in f if line.count(":") == 1)
    return int(words.get("Pss:", 0)), int(words.get("Rss:", 0))


def measure(processes):
    """{name: {quantity: sum over its pids}}; of what ends meanwhile, or is
    dead, nothing."""
    result = {}
    for name, pids in processes.items():
        total = dict.fromkeys(UNITS, 0)
        for pid in pids:
            try:
                pss, rss = memory_of(pid)
                files = len(os.listdir(f"/proc/{pid}/fd"))
            except (FileNotFoundError, ProcessLookupError):
                continue
            for what, value in zip(UNITS, (pss, rss, files, 1)):
                total[what] += value
        if total["processes"]:
            result[name] = total
    return result


class Watch:
    """Measures, not too often, and keeps what it saw."""

    def __init__(self, every=EVERY_SEC):
        self.begun = time.monotonic()
        self.every = every
        self.samples = []                 # (seconds, what measure() says)

    def look(self, processes, words):
        now = time.monotonic() - self.begun
        if self.samples and now < self.samples[-1][0] + self.every:
            return
        self.samples.append((now, measure(processes())))
        print(f"{now:7.0f} s  {words()}", flush=True)


# ---- judging -----------------------------------------------------------------

def series(samples, name, what):
    """[(seconds, value)] while there was such a process."""
    return [(when, seen[name][what]) for when, seen in samples
            if name in seen]


def judge_growth(samples, servers):
    """A row for each name and quantity that is judged."""
    names = sorted({name for _, seen in samples for name in seen}
                   | set(servers))
    return [flat.judge_series(name, what, [value for _, value in series(
                samples, name, what)])
            for name in names for what in UNITS
            if name in servers or what == "files"]


def is_flat(rows):
    return bool(rows) and all(row.word == flat.FLAT for row in rows)


# ---- the report --------------------------------------------------------------

HEAD = ("", "what", "measured", "after warming up", "rise", "allowed", "")


def cells(row):
    return (row.name, UNITS[row.what], str(row.count), f"{row.begin:.0f}",
            f"{row.rise:+.0f}", f"{row.allowed:.0f}", row.word)


def line_of(row):
    name, what, *numbers, word = cells(row)
    return (f"  {name:<10} {what:<18}" + "".join(f"{n:>10}" for n in numbers)
            + f"  {word}")


def plots(samples, what):
    """SVG: one plot for each name."""
    body, top = [], 10
    names = sorted({name for _, seen in samples for name in seen})
    for i, name in enumerate(names):
        part, top = report.lines(
            f"{name}: {UNITS[what]}",
            [(name, series(samples, name, what), COLOURS[i % len(COLOURS)])],
            top, lambda when: f"{when:.0f} s")
        body += part
    return report.svg_page(body, top)


def write_report(folder, title, samples, rows, story_lines, is_good):
    """The page, the plots, the measurements."""
    os.makedirs(folder, exist_ok=True)
    page = [report.html_head(title, "Good: nothing was broken, and all was "
                             "flat." if is_good else "FAILED"),
            report.html_table([HEAD] + [cells(row) for row in rows]),
            f"<pre>{html.escape(chr(10).join(story_lines))}</pre>"]
    for what in UNITS:
        drawn = plots(samples, what)
        report.put(folder, what + ".svg", drawn)
        page += [f"<h2>{UNITS[what]}</h2>", drawn]
    report.put(folder, "index.html", "\n".join(page) + report.HTML_END)
    with open(os.path.join(folder, "samples.csv"), "w", newline="",
              encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["seconds", "name", *UNITS])
        for when, seen in samples:
            for name, values in sorted(seen.items()):
                out.writerow([f"{when:.1f}", name, *values.values()])


# ---- the runs ----------------------------------------------------------------

def soak_session(args, seconds, work, watch):
    """(servers, is good, what is to be told)."""
    plan = make_plan(args.seed, args.replicas, seconds, 8, 5)

    def between(game):
        watch.look(game.world.processes, lambda: (
            f"{game.verdict.epochs} epochs, {game.history.count} operations, "
            f"{game.verdict.disturbed} disturbed"))

    game = play(plan, work, between=between)
    told = [game.verdict.summary(), *game.verdict.crashes]
    told += [story(game, v) for v in game.verdict.violations[:5]]
    return ([s.name for s in game.world.servers], game.verdict.is_good, told)


def soak_router(args, seconds, work, watch):
    kills = Kills(work)
    try:
        kills.start()
        kills.play(args.seed, seconds, lambda: watch.look(
            kills.processes, kills.summary))
    finally:
        kills.stop()
    faults = kills.broken() + kills.complaints()
    return ([s.name for s in kills.routers], not faults,
            [kills.summary(), *faults])


RUNS = {"session": soak_session, "router": soak_router}


def soak(what, args, seconds):
    """Play one of RUNS and watch it; whether it was good."""
    watch = Watch()
    work = tempfile.mkdtemp(prefix="session-ha-soak-")
    os.chmod(work, 0o755)
    try:
        servers, is_good, told = RUNS[what](args, seconds, work, watch)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    rows = judge_growth(watch.samples, servers)
    is_good = is_good and is_flat(rows)
    told.insert(0, f"{what}, {watch.samples[-1][0] if watch.samples else 0:.0f}"
                   f" seconds, seed {args.seed}, "
                   f"{'good' if is_good else 'FAILED'}")
    folder = os.path.join(args.out, what)
    write_report(folder, f"Soak: {what}", watch.samples, rows, told, is_good)
    print("\n".join(told + [line_of(row) for row in rows]))
    print(f"{folder}: index.html, samples.csv and a plot of each quantity",
          flush=True)
    return is_good


def main():
    ask = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--what", choices=[*RUNS, "both"], default="both")
    ask.add_argument("--seconds", type=float, default=3600)
    ask.add_argument("--seed", type=int,
                     default=random.SystemRandom().randrange(1 << 31))
    ask.add_argument("--replicas", type=int, default=2, choices=(2, 3))
    ask.add_argument("--out", default=os.path.join(ROOT, "out", "soak"))
    args = ask.parse_args()
    chosen = list(RUNS) if args.what == "both" else [args.what]
    good = [soak(what, args, args.seconds / len(chosen)) for what in chosen]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
