# SPDX-License-Identifier: Apache-2.0
"""What the router bench found: medians, ratios, aims; as text, SVG, HTML and
Markdown. Knows no server and starts nothing."""

import collections
import functools
import html
import json
import os

import aim
import report
import routers
from aim import verdict
from report import html_table, md_table, middle, number, ratio

# results[cell][router] is a list of rounds; cell is (part, number).
# fire[router] is what clones that died did to it.
Data = collections.namedtuple(
    "Data", "plan host titles results failures fire complaints seconds")

BASE = "stock"
OURS = "ours"
COLOURS = {OURS: "#2a7fc1", "bare": "#7fb2d6", "placed": "#7fb2d6"}
OTHER = "#9a9a9a"
PARTS = {"clients": "{n} client{s}, 4 members",
         "members": "{n} members, 32 clients",
         "sessions": "{n} sessions, 32 clients"}
RATE, P99, GROWTH = 0.97, 1.1, 1.1


def cell_title(cell):
    part, n = cell
    return PARTS[part].format(n=f"{n:,}", s="s" * (n > 1))


def cells_of(data, part):
    return sorted(cell for cell in data.results if cell[0] == part)


def ratio_of(data, cell, field, one=OURS, other=BASE):
    by = data.results.get(cell, {})
    return ratio(by.get(one, []), by.get(other, []), field)


def noise(data):
    """In words how far the rounds lie apart of which the aims are made."""
    return aim.noise_line(
        [report.ratios(by.get(OURS, []), by.get(BASE, []), "rate")
         for (part, _), by in data.results.items()
         if part in ("clients", "members")], "requests/s", RATE)


# ---- aims --------------------------------------------------------------------

def grown(data, part, name):
    """Cost of a request in the largest cell of a part to the smallest."""
    rounds = [data.results[cell].get(name) for cell in cells_of(data, part)]
    if len(rounds) < 2 or not rounds[0] or not rounds[-1]:
        return None
    return middle(rounds[-1], "cpu") / middle(rounds[0], "cpu")


def aims_of_speed(data):
    for part in ("clients", "members"):
        for cell in cells_of(data, part):
            where = cell_title(cell)
            yield verdict(f"requests/s to stock's, {where}",
                          ratio_of(data, cell, "rate"), RATE, False)
            yield verdict(f"p99 to stock's, {where}",
                          ratio_of(data, cell, "p99"), P99, True)


def aims_of_growth(data):
    cells = cells_of(data, "sessions")
    if len(cells) < 2:
        return
    value = grown(data, "sessions", OURS)
    stock = grown(data, "sessions", BASE)
    note = f" (stock's: {stock:.2f})" if stock else ""
    yield verdict(f"processor time of a request, {cells[-1][1]:,} sessions to "
                  f"{cells[0][1]:,}{note}", value, GROWTH, True)


def aims_of_fire(data):
    found = data.fire.get(OURS)
    if not found:
        return
    if "broken" in found:
        yield "while clones are killed", found["broken"], "MISSED"
        return
    yield (f"failed requests, {found['kills']} clones killed",
           str(found["failed"]),
           f"{'MISSED' if found['failed'] else 'met'}: none")


def aims(data):
    return [row for part in (aims_of_speed, aims_of_growth, aims_of_fire)
            for row in part(data) if row[1] != "not measured"]


def headlines(data):
    usual = ("clients", 32)
    most = max(cells_of(data, "members"), default=usual)
    wanted = (
        ("router_rate_to_stock", "requests/s to stock's, 32 clients", False,
         (usual, "rate")),
        ("router_p99_to_stock", "p99 to stock's, 32 clients", True,
         (usual, "p99")),
        ("router_cpu_to_stock", "processor time to stock's, 32 clients", True,
         (usual, "cpu")),
        ("router_rate_to_haproxy", "requests/s to HAProxy's, 32 clients",
         False, (usual, "rate", OURS, "haproxy")),
        ("router_rate_to_nginx", "requests/s to nginx's, 32 clients", False,
         (usual, "rate", OURS, "nginx")),
        ("router_rate_most_members_to_stock", "requests/s to stock's, most "
         "members", False, (most, "rate")))
    found = [report.Headline(name, title, ratio_of(data, *at), is_less)
             for name, title, is_less, at in wanted]
    return found + [report.Headline(
        "router_cpu_most_sessions_to_fewest", "processor time, most sessions "
        "to fewest", grown(data, "sessions", OURS), True)]


# ---- tables ------------------------------------------------------------------

HEAD = ("", "requests/s", "ratio", "p50 us", "p99 us", "ratio", "cpu us")
FIRE_HEAD = ("", "killed", "answered", "failed", "slow", "moved", "p99 us",
             "slowest ms")


def cell_rows(data, cell):
    for name, title in data.titles.items():
        failed = data.failures.get((cell, name), [])
        rounds = data.results[cell].get(name)
        if failed:
            title += f" ({len(failed)} failed)"
        if rounds:
            ratios = [ratio_of(data, cell, field, name)
                      for field in ("rate", "p99")]
            rate, p99 = (f"{r:.2f}" if r else "" for r in ratios)
            yield (title, number(middle(rounds, "rate")), rate,
                   number(middle(rounds, "p50")),
                   number(middle(rounds, "p99")), p99,
                   number(middle(rounds, "cpu")))
        elif failed:
            yield title, failed[0][:80]


def fire_rows(data):
    for name, title in data.titles.items():
        found = data.fire.get(name)
        if found and "broken" in found:
            yield title, found["broken"][:80]
        elif found:
            yield (title, *(str(found[field]) for field in
                            ("kills", "count", "failed", "slow", "moved")),
                   number(found["p99"]), f"{found['max'] / 1e3:.0f}")


def tables(data):
    """(title, head, rows) of all that was measured, in order."""
    for part in PARTS:
        for cell in cells_of(data, part):
            yield cell_title(cell), HEAD, list(cell_rows(data, cell))
        if part == "clients" and data.fire:
            yield ("Clones killed, one every two seconds, back a second "
                   "later; 32 clients", FIRE_HEAD, list(fire_rows(data)))


def failed_lines(data):
    lines = [f"{data.titles[name]}, {cell_title(cell)}: {why[:160]}"
             for (cell, name), found in data.failures.items()
             for why in found]
    lines += [f"{data.titles[name]}, first failed request: "
              f"{found['first_bad']}" for name, found in data.fire.items()
              if found.get("failed")]
    lines += [f"{data.titles[name]} said: {line[:160]}"
              for name, found in data.complaints.items() for line in found]
    return lines or ["none"]


def line_of(row):
    if len(row) == 2:
        return f"{row[0]:<46} {row[1]}"
    return f"{row[0]:<46}" + "".join(f"{word:>11}" for word in row[1:])


def text(data):
    lines = [report.heading(data), ""]
    for title, head, rows in tables(data):
        lines += [title, *map(line_of, [head, *rows]), ""]
    lines += ["Aims"] + [f"  {what}: {value}  {word}"
                         for what, value, word in aims(data)]
    lines += ["", noise(data), "", routers.WITHOUT_MOD_JK, "",
              "What went wrong"]
    lines += ["  " + line for line in failed_lines(data)]
    return "\n".join(lines) + "\n"


# ---- chart -------------------------------------------------------------------

def chart_groups(data):
    wanted = (("clients", "rate", "Requests a second, {}"),
              ("clients", "p99", "p99, microseconds, {}"),
              ("members", "cpu", "Processor time of a request, "
                                 "microseconds, {}"),
              ("sessions", "cpu", "Processor time of a request, "
                                  "microseconds, {}"))
    for part, field, title in wanted:
        for cell in cells_of(data, part):
            yield title.format(cell_title(cell)), [
                (label, middle(data.results[cell][name], field), name)
                for name, label in data.titles.items()
                if data.results[cell].get(name)]
    for field, title in (("failed", "Failed requests"),
                         ("slow", "Requests above a second"),
                         ("moved", "Moves of sessions to another clone")):
        yield f"{title}, while clones are killed", [
            (data.titles[name], found[field], name)
            for name, found in data.fire.items() if "broken" not in found]


def drawings(data):
    return [functools.partial(report.bars, title, [
        (label, value, COLOURS.get(name, OTHER))
        for label, value, name in rows])
        for title, rows in chart_groups(data) if rows]


# ---- files -------------------------------------------------------------------

def html_page(data):
    return "\n".join([
        report.html_head("What routing costs", report.heading(data)),
        "<h2>Aims</h2>", html_table(aims(data)), html_body(data),
        report.HTML_END])


def html_body(data):
    """All but the aims."""
    out = [f"<p>{html.escape(noise(data))}</p>",
           report.side_by_side(drawings(data))]
    for title, head, rows in tables(data):
        out += [f"<h3>{html.escape(title)}</h3>", html_table([head, *rows])]
    return "\n".join(out + ["<h3>What went wrong</h3>",
                            report.html_list(failed_lines(data))])


INTRODUCTION = """# What routing costs, and what clones that die do to it

Written by `make bench-router WRITE_DOC=1`; do not edit. {heading}

All routers run at once on one machine before the same four clones, with the
load generator, and are measured one after the other in rounds; numbers are
medians, *ratio* is that to the stock balancer, round by round. Clients keep
their connections and send two sessions each in turn. Times are of whole
requests of a page of one kilobyte, *cpu* is the processor time of the router's
own processes a request. Each session keeps all of its cookies, the clone's and
the router's. While all clones live, an answer from another clone than the
session's makes a round bad, and it does not count.

While clones are killed, *failed* is an answer other than the right one, or
none; *slow* took more than a second; *moved* came from another clone than the
answer before in its session. A session whose clone dies must move, and may move
back; clones keep no sessions and write no new cookies, so that the moves are
the router's own doing. Each router is set up to find out fast: members of
mod_proxy are tried again after one second, HAProxy checks twice a second and
tries all requests again that may be, nginx tries again after one second. httpd
and nginx write access logs.

{mod_jk}
"""


def markdown(data):
    out = ["<!-- SPDX-License-Identifier: Apache-2.0 -->",
           INTRODUCTION.format(heading=report.heading(data),
                               mod_jk=routers.WITHOUT_MOD_JK),
           "## Aims\n", md_table(("what", "measured", "aim"), aims(data)),
           noise(data) + "\n"]
    for title, head, rows in tables(data):
        out += [f"## {title}\n", md_table(head, rows)]
    out += ["## What went wrong\n",
            *("* " + line for line in failed_lines(data))]
    return "\n".join(out) + "\n"


def plain_json(data):
    """The same as JSON can say it: cells and pairs become words."""
    by_cell = {cell_title(cell): by for cell, by in data.results.items()}
    failures = {f"{cell_title(cell)}: {name}": why
                for (cell, name), why in data.failures.items()}
    return data._replace(results=by_cell, failures=failures)._asdict()


def write_all(data, folder):
    os.makedirs(folder, exist_ok=True)
    report.put(folder, "table.txt", text(data))
    report.put(folder, "chart.svg", report.stacked(drawings(data)))
    report.put(folder, "index.html", html_page(data))
    report.put(folder, "results.json", json.dumps(plain_json(data), indent=1))


def write_doc(data, path):
    report.put(os.path.dirname(path), os.path.basename(path), markdown(data))
