#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the simulation; makes charts, and with --write the page docs/scale.md.

    scale.py --sim PROGRAM --out FOLDER [--sessions N] [--write]

The numbers are those of sim.c; only words and charts are made here.
"""
import argparse
import collections
import math
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
COLOURS = {"rendezvous": "#1b6ca8", "ring": "#2e8b57", "buddy": "#c0392b",
           "everywhere": "#8e6bbf", "fair": "#999999"}
TITLES = {"rendezvous": "rendezvous (ours)", "ring": "ring", "buddy": "buddy",
          "everywhere": "everywhere", "fair": "evenly"}
Row = collections.namedtuple("Row", "what scheme nodes x value")


def run(program, sessions):
    """All results of the simulation."""
    text = subprocess.run([program, str(sessions)], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=3600).stdout
    rows = []
    for line in text.splitlines():
        what, scheme, nodes, x, value = line.split("\t")
        rows.append(Row(what, scheme, int(nodes), float(x), float(value)))
    return rows


def pick(rows, what, nodes=None, x=None):
    """scheme to rows of one kind, in the order of the simulation."""
    found = {}
    for row in rows:
        if row.what == what and nodes in (None, row.nodes) \
                and x in (None, row.x):
            found.setdefault(row.scheme, []).append(row)
    return found


def value(rows, what, scheme, nodes, x):
    one, = [r.value for r in rows if r[:4] == (what, scheme, nodes, x)]
    return one


# ---- charts -----------------------------------------------------------------

WIDE, TALL, LEFT, TOP_EDGE = 420, 220, 60, 40


def chart(title, under, lines, log_x=False, log_y=False, percent=False):
    """SVG with a line a scheme; lines is scheme to [(x, y)]."""
    xs = [x for line in lines.values() for x, _ in line]
    ys = [y for line in lines.values() for _, y in line]
    scale_x = math.log if log_x else float
    scale_y = math.log if log_y else float
    low_x, high_x = scale_x(min(xs)), scale_x(max(xs))
    low_y = scale_y(1) if log_y else 0
    high_y = scale_y(max(ys)) or 1

    def at(x, y):
        return (LEFT + (scale_x(x) - low_x) / (high_x - low_x) * WIDE,
                TOP_EDGE + TALL - (scale_y(y) - low_y)
                / (high_y - low_y) * TALL)

    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="640" height="320" '
           'font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="22" font-size="14">{title}</text>',
           f'<path d="M{LEFT} {TOP_EDGE}V{TOP_EDGE + TALL}H{LEFT + WIDE}" '
           'fill="none" stroke="#888"/>',
           f'<text x="{LEFT + WIDE / 2}" y="{TOP_EDGE + TALL + 40}" '
           f'text-anchor="middle">{under}</text>']
    for y in (1, 2, 5, 10, 20, 50, 100) if log_y else [
            max(ys) * i / 4 for i in range(5)]:
        if y <= max(ys):
            spot = at(min(xs), y)[1]
            word = f"{y * 100:.0f} %" if percent else f"{y:.3g}"
            out.append(f'<text x="{LEFT - 6}" y="{spot + 4:.0f}" '
                       f'text-anchor="end">{word}</text>')
    for x in sorted(set(xs)):
        if log_x or x in (min(xs), max(xs)) or not x % (
                10 if max(xs) > 20 else 2):
            out.append(f'<text x="{at(x, max(ys))[0]:.0f}" '
                       f'y="{TOP_EDGE + TALL + 18}" text-anchor="middle">'
                       f'{x:g}</text>')
    for i, (scheme, line) in enumerate(lines.items()):
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in
                          (at(x, y) for x, y in line))
        colour = COLOURS[scheme]
        out.append(f'<polyline points="{points}" fill="none" '
                   f'stroke="{colour}" stroke-width="2"'
                   + (' stroke-dasharray="5 4"' if scheme == "fair" else "")
                   + f'/><text x="{LEFT + WIDE + 12}" y="{60 + 18 * i}" '
                   f'fill="{colour}">{TITLES[scheme]}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def lines_by_x(found):
    return {scheme: [(r.x, r.value) for r in rows]
            for scheme, rows in found.items()}


def lines_by_nodes(found):
    return {scheme: [(r.nodes, r.value) for r in rows]
            for scheme, rows in found.items()}


def charts(rows):
    """file name to SVG."""
    one = lines_by_nodes(pick(rows, "survivor", x=1))
    one["fair"] = [(r.nodes, r.value)
                   for r in pick(rows, "fair", x=1)["rendezvous"]]
    return {
        "scale-survivor.svg": chart(
            "Load of the busiest survivor after one death (before: 1)",
            "clones", one, log_x=True),
        "scale-cascade-3.svg": chart(
            "Three clones, one dies: what is left of them",
            "load of before, in percent of what a clone can bear",
            lines_by_x(pick(rows, "cascade", nodes=3)), percent=True),
        "scale-cascade-10.svg": chart(
            "Ten clones, one dies: what is left of them",
            "load of before, in percent of what a clone can bear",
            lines_by_x(pick(rows, "cascade", nodes=10)), percent=True),
        "scale-moved.svg": chart(
            "Copies that move when a node joins", "nodes",
            lines_by_nodes(pick(rows, "moved")), log_x=True, percent=True),
        "scale-lost.svg": chart(
            "Sessions lost when nodes of twelve die at once, two copies",
            "nodes that die", lines_by_x(pick(rows, "lost-2")),
            percent=True),
    }


# ---- the page ---------------------------------------------------------------

def table(head, lines):
    return "\n".join("| " + " | ".join(cells) + " |" for cells in
                     [head, ["---"] * len(head), *lines]) + "\n"


def survivor_lines(rows):
    for row in pick(rows, "fair")["rendezvous"]:
        yield [str(row.nodes), f"{row.x:g}", f"{row.value:.2f}"] + [
            f"{value(rows, 'survivor', scheme, row.nodes, row.x):.2f}"
            for scheme in ("rendezvous", "ring", "buddy")]


def last_standing(rows, scheme, nodes):
    """The highest load at which more than nothing is left."""
    return max((r.x for r in pick(rows, "cascade", nodes)[scheme]
                if r.value > 0), default=0)


def cascade_lines(rows):
    for nodes in (3, 10, 100):
        yield [str(nodes)] + [f"{last_standing(rows, scheme, nodes):.0f} %"
                              for scheme in ("rendezvous", "ring", "buddy")]


def node_lines(rows):
    for row in pick(rows, "spread")["rendezvous"]:
        nodes = row.nodes
        yield [str(nodes)] + [
            f"{value(rows, 'spread', s, nodes, 2):.3f}"
            for s in ("rendezvous", "ring")] + [
            f"{100 * value(rows, 'moved', s, nodes, 2):.1f} %"
            for s in ("rendezvous", "ring", "buddy")] + [
            f"{100 / (nodes + 1):.1f} %",
            f"{100 * value(rows, 'zone-untold', 'rendezvous', nodes, 2):.1f}"
            " %",
            f"{100 * value(rows, 'zone-told', 'rendezvous', nodes, 2):.1f} %"]


def loss_lines(rows):
    for dead in range(1, 13):
        yield [str(dead)] + [
            f"{100 * value(rows, what, scheme, 12, dead):.1f} %"
            for what, scheme in (
                ("lost-2", "rendezvous"), ("lost-3", "rendezvous"),
                ("lost-2", "ring"), ("lost-2", "buddy"),
                ("lost-2", "everywhere"))]


def page(rows, sessions):
    return f"""<!-- SPDX-License-Identifier: Apache-2.0 -->
# What happens at scale

Computed, not measured: `tests/sim/sim.c` is linked with the placement
(`ha_place`) and the routing (`clone_route`) that the modules run, and deals
{sessions:,} sessions to imagined servers. The rivals are written there in a
few lines each: a *ring* (consistent hashing, 160 points a server), *buddies*
(the next server in the list takes over, or holds the copy) and *everywhere*
(each server holds everything). `make sim` makes this page again; the same
number of sessions gives the same page.

## Clones that die

The load of the busiest survivor, where every clone had 1 before. "Evenly" is
what nobody can beat. The clones that die are neighbours in the list, which is
a buddy's bad day and nobody else's.

{table(["clones", "dead", "evenly", "ours", "ring", "buddy"],
       survivor_lines(rows))}
![](scale-survivor.svg)

Nothing but the dead clone's sessions moves, whatever the scheme. What is
above "evenly" is the luck of the draw: the fewer sessions a clone has, the
more of it.

## One death that takes the others with it

A clone that gets more than it can bear dies, too, and its load goes on to the
others. The highest load, in percent of what a clone can bear, at which one
death stays one death (in steps of five):

{table(["clones", "ours", "ring", "buddy"], cascade_lines(rows))}
![](scale-cascade-3.svg)
![](scale-cascade-10.svg)

Buddies fall like dominoes above half load, however many there are, and at half
load as the draw will have it, because twice that is all that one can bear: the
first one's neighbour gets twice what it had, its neighbour three times. Spread
over all survivors, three clones stand one death up to two thirds of their
strength, and a hundred nearly up to all of it. Above that no router helps:
limits do.

## Nodes, two copies of each session

The fullest node (1 is the mean), copies that move when a node joins (the last
of these columns is the least for an even load: where a ring moves less, its new
node gets less than its share), and what is lost when a third of the nodes, a
zone, dies at once: with zones not told to the module, and told.

{table(["nodes", "fullest, ours", "ring", "moved, ours", "ring",
        "next in the list", "least", "zone dies, not told", "told"],
       node_lines(rows))}
![](scale-moved.svg)

A cluster has at most 64 nodes; clones are not limited.

## How many nodes may be lost

Nodes of twelve die at the same moment, chosen by lot, so that nothing is
copied in between; the mean of forty draws. The share of sessions lost:

{table(["nodes", "ours, 2 copies", "ours, 3 copies", "ring, 2", "buddy, 2",
        "everywhere"], loss_lines(rows))}
![](scale-lost.svg)

Any R - 1 nodes may die without a loss. R at once cost the sessions that had
all copies there: for two of twelve one in 66, because there are 66 pairs (the
table says {100 * value(rows, "lost-2", "rendezvous", 12, 2):.1f} %, by the luck
of forty draws; {100 / 66:.1f} % is exact). Which scheme places the copies makes
no difference to that. Holding everything everywhere loses nothing until the
last node, and costs each node all of the memory and all of the writes: with
twelve nodes six times what two copies cost. Nodes that die one after the other
cost less than this table says: while an owner is away the next node stands in
for all that is written, and what is read is copied again.

With zones told, the copies of a session never share a zone while there are
two: a zone may die whole.
"""


def main():
    ask = argparse.ArgumentParser()
    ask.add_argument("--sim", required=True)
    ask.add_argument("--out", required=True)
    ask.add_argument("--sessions", type=int, default=1000000)
    ask.add_argument("--write", action="store_true",
                     help="docs/scale.md and its charts, too")
    args = ask.parse_args()
    rows = run(args.sim, args.sessions)
    files = {**charts(rows), "scale.md": page(rows, args.sessions)}
    for folder in [args.out] + [os.path.join(TOP, "docs")] * args.write:
        os.makedirs(folder, exist_ok=True)
        for name, text in files.items():
            with open(os.path.join(folder, name), "w",
                      encoding="utf-8") as file:
                file.write(text)
        print(f"{folder}: {', '.join(sorted(files))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
