# SPDX-License-Identifier: Apache-2.0
"""What the session bench found: medians, ratios, aims; as text, SVG, HTML and
Markdown. Knows no server and starts nothing."""

import collections
import functools
import html
import json
import os
import re
import textwrap
from statistics import median

import aim
from aim import verdict

# results[cell][keeper] is a list of rounds; cell is (where, writes, size,
# clients), where is "direct" or "delay". failures[cell, keeper] is a list of
# what was wrong in rounds that do not count.
Data = collections.namedtuple(
    "Data", "plan host titles results failures extra seconds")

# A ratio worth remembering from run to run, by a name that never changes; less
# is better, or more.
Headline = collections.namedtuple("Headline", "name title value is_less")

BASE = "none"
OURS = "ha2"            # with the default number of copies
BACK = 0.9              # of the throughput of before
BUDGET_USEC = 250e3     # SessionHATimeBudget's default
ITEM_HEAD = 56          # of memcached's item, with cas
SIZE = 4096


# ---- statistics --------------------------------------------------------------

def middle(rounds, field):
    return median(r[field] for r in rounds)


def ratios(one, other, field):
    """Of each round of both."""
    return [a[field] / b[field] for a, b in zip(one, other) if b[field]]


def ratio(one, other, field):
    """Median of the rounds' own ratios; None without a round of both."""
    found = ratios(one, other, field)
    return median(found) if found else None


def judge_freeze(buckets, span, frozen_at):
    """From [count, slowest usec] of each span of seconds: the rate before a
    node froze, how long until it was back at 90 % for half a second on
    average, the worst and the slowest."""
    first = int(frozen_at / span)
    whole = buckets[:-1]                  # the last one is cut off
    before = median(count for count, _ in whole[2:first]) / span
    wide = max(1, round(0.5 / span))
    back = None
    for i in range(first, len(whole) - wide + 1):
        rate = sum(count for count, _ in whole[i:i + wide]) / (wide * span)
        if rate >= BACK * before:
            back = max(0.0, i * span - frozen_at)
            break
    return {"before": before, "back": back, "frozen_at": frozen_at,
            "span": span, "rates": [count / span for count, _ in whole],
            "after": sum(c for c, _ in whole[-wide:]) / (wide * span),
            "slowest": max(slow for _, slow in whole[first:]),
            "slowest_before": max(slow for _, slow in whole[:first])}


def slab_bytes(stats):
    """Bytes of the chunks in use, of memcached's "stats slabs"."""
    sizes = dict(re.findall(r"STAT (\d+):chunk_size (\d+)", stats))
    used = dict(re.findall(r"STAT (\d+):used_chunks (\d+)", stats))
    return sum(int(size) * int(used.get(slab, 0))
               for slab, size in sizes.items())


# ---- aims --------------------------------------------------------------------

def rounds_of(data, where, writes, clients, keeper, size=SIZE):
    return data.results.get((where, writes, size, clients), {}).get(keeper, [])


def added(data, where, keeper, writes=0):
    """Median of what a keeper adds to httpd without sessions."""
    pairs = zip(rounds_of(data, where, writes, 1, keeper),
                rounds_of(data, where, writes, 1, BASE))
    values = [a["p50"] - b["p50"] for a, b in pairs]
    return median(values) if values else None


def ratio_at(data, where, writes, clients, field, one, other):
    return ratio(rounds_of(data, where, writes, clients, one),
                 rounds_of(data, where, writes, clients, other), field)


def write_bytes(data, keeper, field):
    """Of one write itself: a write request less what a read request moves."""
    writes = rounds_of(data, "delay", 100, 1, keeper)
    reads = rounds_of(data, "delay", 0, 1, keeper)
    if not writes or not reads:
        return None
    return middle(writes, field) - middle(reads, field)


def worst_ratio(data, keeper, other):
    """(lowest ratio of rates, its cell) over all loads."""
    found = [(ratio(by[keeper], by[other], "rate"), cell)
             for cell, by in data.results.items()
             if by.get(keeper) and by.get(other)]
    return min(found) if found else (None, None)


def aims_of_time(data):
    rate = ratio_at(data, "delay", 100, 1, "p50", "ha3", "ha1")
    yield verdict("write p50, R=3 to R=1, 0.5 ms each way", rate, 1.15, True)
    for keeper in ("ha1", "ha2", "ha3"):
        for where in ("delay", "direct"):
            way = ("0.5 ms each way" if where == "delay" else "no delay")
            rate = ratio_at(data, where, 0, 1, "p50", keeper, "plain")
            yield verdict(f"read p50, R={keeper[2]} to a plain get, {way}",
                          rate, 1.1, True)
    ours, plain = added(data, "delay", OURS), added(data, "delay", "plain")
    if ours is not None and plain:
        yield verdict("read p50, R=2 to a plain get, 0.5 ms each way, as time "
                      "added to httpd without sessions", ours / plain, 1.1,
                      True)


def aims_of_bytes(data):
    for field, word in (("sent", "sent to the store"),
                        ("got", "received back")):
        ours = write_bytes(data, "ha1", field)
        plain = write_bytes(data, "plain", field)
        if ours is None or plain is None:
            continue
        what = (f"bytes of a write at 4 kB {word}, less those of a read, one "
                "copy")
        if field == "sent":
            yield verdict(f"{what}, to a full-session store ({ours:.0f} to "
                          f"{plain:.0f})", ours / plain, 0.1, True)
        else:
            yield (f"{what}, and a full-session store",
                   f"{ours:.0f} and {plain:.0f}",
                   "no aim: the answer proves the write by content")


def aims_of_rate(data):
    for clients in (32, 1):
        rate = ratio_at(data, "direct", 100, clients, "rate", OURS, "pg")
        yield verdict(f"writes/s, R=2 to mod_session_dbd on PostgreSQL, "
                      f"{clients} client{'s' * (clients > 1)}", rate, 5, False)
        most = ratio_at(data, "direct", 100, clients, "rate", BASE, "pg")
        if most:
            yield ("the same, httpd without sessions: more than this nobody "
                   "can have here", f"{most:.2f}", "no aim")
    for keeper in ("ha1", "ha2", "ha3"):
        rate, cell = worst_ratio(data, keeper, "phplock")
        at = f" (worst: {cell_title(cell)})" if cell else ""
        yield verdict(f"requests/s, R={keeper[2]} to PHP locked{at}", rate, 1,
                      False)


def aims_of_freeze(data):
    found = data.extra.get("freeze")
    if not found:
        return
    if "failed" in found:
        yield "one of three nodes stopped", found["failed"], "MISSED"
        return
    back = found["back"]
    yield verdict("one of three nodes stopped: seconds until 90 % of the "
                  "throughput", 1e9 if back is None else back, 2, True, " s")
    yield verdict("the same: slowest request, budget 250 ms",
                  found["slowest"] / 1e3, BUDGET_USEC / 1e3, True, " ms")


def aims(data):
    """(what, value, verdict) for each aim that was measured."""
    return [row for part in (aims_of_time, aims_of_bytes, aims_of_rate,
                             aims_of_freeze) for row in part(data)
            if row[1] != "not measured"]


# column, words, is less better, and where to look for it
AT = (
    ("session_write_p50_r3_to_r1", "write p50, R=3 to R=1, 0.5 ms each way",
     True, ("delay", 100, 1, "p50", "ha3", "ha1")),
    ("session_read_p50_r2_to_plain", "read p50, R=2 to a plain get, 0.5 ms "
     "each way", True, ("delay", 0, 1, "p50", OURS, "plain")),
    ("session_reads_r2_to_plain", "reads/s, R=2 to plain gets, 32 clients",
     False, ("direct", 0, 32, "rate", OURS, "plain")),
    ("session_writes_r2_to_plain", "writes/s, R=2 to plain sets, 32 clients",
     False, ("direct", 100, 32, "rate", OURS, "plain")),
    ("session_write_cpu_r2_to_plain", "processor time of a write, R=2 to a "
     "plain set", True, ("direct", 100, 32, "cpu", OURS, "plain")),
    ("session_writes_r2_to_pg", "writes/s, R=2 to PostgreSQL, 32 clients",
     False, ("direct", 100, 32, "rate", OURS, "pg")))


def headlines(data):
    found = [Headline(name, title, ratio_at(data, *at), is_less)
             for name, title, is_less, at in AT]
    ours, plain = (write_bytes(data, k, "sent") for k in ("ha1", "plain"))
    return found + [
        Headline("session_write_bytes_r1_to_plain",
                 "bytes sent by a write, R=1 to a plain set",
                 ours / plain if ours is not None and plain else None, True),
        Headline("session_worst_r2_to_php_locked",
                 "requests/s, R=2 to PHP locked, worst load",
                 worst_ratio(data, OURS, "phplock")[0], False)]


def memory_rows(data):
    """(what, value): measured on a sample, and computed for a million."""
    found = data.extra.get("memory")
    if not found:
        return []
    sample, copies = found["sample"], found["sample"]["copies"]
    items = max(1, sample["items"])
    chunk = sample["slab_bytes"] / items
    rss = (sample["rss_kb"] * 1024) / items
    return [
        (f"sessions of {sample['size']} bytes made, copies of each found",
         f"{sample['sessions']}, {items / sample['sessions']:.2f}"),
        ("bytes of one item; of its place in memcached",
         f"{sample['item_bytes']:.0f}; {chunk:.0f}"),
        ("resident bytes of the nodes per item, measured", f"{rss:.0f}"),
        (f"a million sessions, {copies} copies, all nodes, computed",
         f"{chunk * copies * 1e6 / 2**20:.0f} MiB"),
        ("the same, from the resident memory of the sample",
         f"{rss * copies * 1e6 / 2**20:.0f} MiB"),
        ("a node that holds nothing", f"{found['node_empty_kb'] / 1024:.1f}"
                                      " MiB resident"),
        ("an httpd child (50 threads), private; without sessions",
         f"{found['child'][0] / 1024:.1f} MiB; "
         f"{found['child_none'][0] / 1024:.1f} MiB"),
    ]


# ---- text --------------------------------------------------------------------

def cell_title(cell):
    where, writes, size, clients = cell
    load = {0: "reads", 100: "writes"}.get(writes, f"{writes} % writes")
    way = "0.5 ms each way" if where == "delay" else "no delay"
    return (f"{load}, {size / 1024:g} kB, {clients} "
            f"client{'s' * (clients > 1)}, {way}")


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


HEAD = ("", "requests/s", "ratio", "p50 us", "p99 us", "cpu us", "sent",
        "received")


def cell_rows(data, cell):
    """One row for each keeper, in the order of the titles."""
    by = data.results[cell]
    for keeper, title in data.titles.items():
        failed = data.failures.get((cell, keeper), [])
        rounds = by.get(keeper)
        if failed:
            title += f" ({len(failed)} failed)"
        if not rounds:
            if failed:
                yield title, failed[0][:80]
            continue
        to_base = ratio(rounds, by.get(BASE, []), "rate")
        moved = [number(middle(rounds, field)) if cell[0] == "delay" and
                 keeper != BASE else "" for field in ("sent", "got")]
        yield (title, number(middle(rounds, "rate")),
               f"{to_base:.2f}" if to_base else "",
               number(middle(rounds, "p50")), number(middle(rounds, "p99")),
               number(middle(rounds, "cpu")), *moved)


def line_of(row):
    if len(row) == 2:
        return f"{row[0]:<44} {row[1]}"
    return f"{row[0]:<44}" + "".join(f"{word:>11}" for word in row[1:])


def heading(data):
    host = data.host
    return (f"{host['cores']} cores of {host['model']}, plan "
            f"\"{data.plan}\", {data.seconds / 60:.0f} minutes, load average "
            f"{host['load']:.1f} at the start.{aim.busy(host)}")


def text(data):
    lines = [heading(data), ""]
    for cell in sorted(data.results, key=cell_order):
        lines += [cell_title(cell), line_of(HEAD)]
        lines += [line_of(row) for row in cell_rows(data, cell)] + [""]
    lines += ["Aims"] + [f"  {what}: {value}  {word}"
                         for what, value, word in aims(data)]
    lines += ["", "Memory"] + [f"  {what}: {value}"
                               for what, value in memory_rows(data)]
    lines += ["", "Rounds that failed, and do not count"] + failed_lines(data)
    for where, found in data.extra.get("complaints", {}).items():
        for keeper, said in found.items():
            lines.append(f"{keeper} ({where}): {said['lines']} lines in its "
                         f"error log, {said['degraded']} degraded writes; "
                         f"first: {said['first'][:200]}")
    return "\n".join(lines) + "\n"


def failed_lines(data):
    return [f"  {data.titles[keeper]}, {cell_title(cell)}: {why[:160]}"
            for (cell, keeper), found in data.failures.items()
            for why in found] or ["  none"]


def cell_order(cell):
    where, writes, size, clients = cell
    return where != "direct", size != SIZE, size, clients, writes


# ---- chart -------------------------------------------------------------------

WIDTH, ROW = 400, 36           # readable on a phone; label above its bar
COLOURS = {"ha1": "#2a7fc1", "ha2": "#2a7fc1", "ha3": "#2a7fc1",
           "shm": "#2a7fc1", BASE: "#9a9a9a"}


def caption(title, top):
    """SVG of a title, and where the rest begins: lower for each line more."""
    rows = textwrap.wrap(title, 50)
    words = "".join(f'<tspan x="10" y="{top + 16 + 16 * i}">'
                    f'{html.escape(row)} </tspan>'
                    for i, row in enumerate(rows))
    return f'<text class="t">{words}</text>', top + 16 * (len(rows) - 1)


def bars(title, rows, top):
    """SVG of one group of bars; rows are (label, value, colour)."""
    most = max(value for _, value, _ in rows) or 1
    said, top = caption(title, top)
    out = [said]
    for i, (label, value, colour) in enumerate(rows):
        y = top + 28 + i * ROW
        wide = max(1, (WIDTH - 80) * value / most)
        out.append(
            f'<text x="10" y="{y + 12}">{html.escape(label)}</text>'
            f'<rect x="10" y="{y + 16}" width="{wide:.1f}" height="12" '
            f'fill="{colour}"/><text x="{wide + 16:.1f}" y="{y + 27}">'
            f'{number(value)}</text>')
    return out, top + 40 + len(rows) * ROW


def curve(title, freeze, top):
    """SVG of the throughput while a node freezes."""
    rates, span = freeze["rates"], freeze["span"]
    most = max(rates) or 1
    tall, wide = 140, WIDTH - 90
    said, top = caption(title, top)
    step = wide / max(1, len(rates) - 1)
    points = " ".join(f"{50 + i * step:.1f},"
                      f"{top + 30 + tall * (1 - rate / most):.1f}"
                      for i, rate in enumerate(rates))
    x = 50 + freeze["frozen_at"] / span * step
    bottom = top + 30 + tall
    return [
        said,
        f'<path d="M50 {top + 30}V{bottom}H{50 + wide}" fill="none" '
        'stroke="#888"/>',
        f'<line x1="{x:.1f}" y1="{top + 30}" x2="{x:.1f}" y2="{bottom}" '
        'stroke="#c33" stroke-dasharray="4"/>',
        f'<text x="{x + 5:.1f}" y="{bottom - 6}">a node stops</text>',
        f'<text x="44" y="{top + 38}" class="l">{number(most)}</text>',
        f'<polyline points="{points}" fill="none" stroke="#2a7fc1" '
        'stroke-width="2"/>'], bottom + 24


def lines(title, series, top, say_x, tall=140):
    """SVG of some lines over one axis, y from nought; series are (label,
    [(x, y)], colour), say_x makes a word of an x."""
    wide, left = WIDTH - 80, 60
    points = [point for _, some, _ in series for point in some]
    most = max([y for _, y in points] + [0]) or 1
    first = min([x for x, _ in points], default=0)
    last = max([x for x, _ in points], default=0)
    said, top = caption(title, top)
    bottom = top + 30 + tall
    out = [f'{said}<path d="M{left} {top + 30}V{bottom}H{left + wide}" '
           'fill="none" stroke="#888"/>'
           f'<text x="{left - 6}" y="{top + 38}" class="l">{number(most)}'
           f'</text><text x="{left - 6}" y="{bottom}" class="l">0</text>'
           f'<text x="{left}" y="{bottom + 16}">{html.escape(say_x(first))}'
           f'</text><text x="{left + wide}" y="{bottom + 16}" class="l">'
           f'{html.escape(say_x(last))}</text>']
    for i, (label, some, colour) in enumerate(series):
        drawn = " ".join(
            f"{left + wide * (x - first) / ((last - first) or 1):.1f},"
            f"{bottom - tall * y / most:.1f}" for x, y in some)
        out.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" '
                   f'stroke-width="2"/><text x="{left}" '
                   f'y="{bottom + 34 + 17 * i}" style="fill:{colour}">'
                   f'{html.escape(label)}</text>')
    return out, bottom + 40 + 17 * len(series)


def svg_page(body, height):
    """The whole file around what was drawn down to a height."""
    style = ("svg{max-width:100%;height:auto}text{font:12px sans-serif;"
             "fill:#222}.t{font-weight:bold;font-size:13px}.l{text-anchor:end}"
             ".b{fill:#fff}@media(prefers-color-scheme:dark){text{fill:#ddd}"
             ".b{fill:#181818}}")
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{height}" viewBox="0 0 {WIDTH} {height}"><style>{style}'
            f'</style><rect width="{WIDTH}" height="{height}" class="b"/>'
            + "\n".join(body) + "</svg>\n")


def stacked(drawings):
    """One SVG of all; a drawing makes its part from where it begins."""
    body, top = [], 10
    for draw in drawings:
        part, top = draw(top)
        body += part
    return svg_page(body, top)


def side_by_side(drawings):
    """An SVG of each, as many in a row as there is room for."""
    return ('<div class="charts">'
            + "".join(svg_page(*draw(4)) for draw in drawings) + "</div>")


def chart_groups(data):
    """(title, rows) of each group of bars that was measured."""
    wanted = (
        ("direct", 100, 32, "rate", "Writes a second, 4 kB, 32 clients"),
        ("direct", 0, 32, "rate", "Reads a second, 4 kB, 32 clients"),
        ("delay", 100, 1, "p50", "Time of a write request, 0.5 ms each way, "
                                 "p50, microseconds"),
        ("delay", 0, 1, "p50", "Time of a read request, 0.5 ms each way, p50, "
                               "microseconds"),
        ("delay", 100, 1, "sent", "Bytes sent to stores by a write request, "
                                  "4 kB"))
    for where, writes, clients, field, title in wanted:
        rows = []
        for keeper, label in data.titles.items():
            rounds = rounds_of(data, where, writes, clients, keeper)
            if rounds and not (field == "sent" and keeper == BASE):
                rows.append((label, middle(rounds, field),
                             COLOURS.get(keeper, "#c98a2b")))
        if rows:
            yield title, rows


def drawings(data):
    found = [functools.partial(bars, *group) for group in chart_groups(data)]
    freeze = data.extra.get("freeze")
    if freeze and "rates" in freeze:
        found.append(functools.partial(
            curve, "Requests a second, R = 2, one of three nodes stopped",
            freeze))
    return found


# ---- files -------------------------------------------------------------------

HTML_END = "</body></html>\n"
PAGE_STYLE = (
    ":root{color-scheme:light dark}body{font:15px/1.4 sans-serif;"
    "margin:1.5em auto;padding:0 1em;max-width:78em;color:#222;"
    "background:#fff}.wide{overflow-x:auto}table{border-collapse:collapse}"
    "td,th{padding:2px 10px;text-align:right}td:first-child,th:first-child{"
    "text-align:left;padding-left:0}tr:nth-child(even){background:#f3f3f3}"
    ".charts{display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start}"
    ".bad{color:#b00020;font-weight:bold}@media(prefers-color-scheme:dark){"
    "body{color:#ddd;background:#181818}tr:nth-child(even){"
    "background:#262626}.bad{color:#ff8a80}}")


def html_head(title, about):
    """A page down to its first paragraph."""
    title = html.escape(title)
    return ("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"/>"
            "<meta name=\"viewport\" content=\"width=device-width\"/>"
            f"<title>{title}</title><style>{PAGE_STYLE}</style></head><body>"
            f"<h1>{title}</h1>\n<p>{html.escape(about)}</p>")


def html_page(data):
    return "\n".join([
        html_head("What keeping sessions costs", heading(data)),
        "<h2>Aims</h2>", html_table(aims(data)), html_body(data), HTML_END])


def html_body(data):
    """All but the aims."""
    out = [side_by_side(drawings(data)),
           "<h3>Memory</h3>", html_table(memory_rows(data))]
    for cell in sorted(data.results, key=cell_order):
        out.append(f"<h3>{html.escape(cell_title(cell))}</h3>")
        out.append(html_table([HEAD, *cell_rows(data, cell)]))
    return "\n".join(out + [
        "<h3>Rounds that failed, and do not count</h3>",
        html_list(failed_lines(data))])


def html_list(lines):
    return "<ul>" + "".join(f"<li>{html.escape(line.strip())}</li>"
                            for line in lines) + "</ul>"


def html_cell(word):
    word = str(word)
    bad = ' class="bad"' if word.startswith("MISSED") else ""
    return f"<td{bad}>{html.escape(word)}</td>"


def html_table(rows):
    lines = ["<tr>" + "".join(map(html_cell, row)) + "</tr>" for row in rows]
    return ('<div class="wide"><table>' + "\n".join(lines)
            + "</table></div>")


def md_table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        row = list(row) + [""] * (len(head) - len(row))
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines) + "\n"


INTRODUCTION = """# What keeping sessions costs

Written by `make bench-session WRITE_DOC=1`; do not edit. {heading}

Each keeper is an httpd with the same application, which reads the session or
changes 100 bytes of it. All run at once on one machine, with the load
generator, and are measured one after the other in rounds; numbers are medians,
*ratio* is the rate to that of httpd without sessions, round by round. Times
are of whole requests, *cpu* is the processor time of all servers a request,
*sent* and *received* are payload bytes between httpd and its stores a request,
counted by the relay that adds the delay. A request that changes a session
reads it first; the aims for bytes count a write alone, less what a read
moves. Every answer was compared with what had been written. Databases
are as their packages configure them: PostgreSQL waits for its disk, which
memcached does not have. mod_session_cookie is measured where a browser could
keep the cookie. A round with one wrong answer does not count.
"""


def markdown(data):
    out = ["<!-- SPDX-License-Identifier: Apache-2.0 -->",
           INTRODUCTION.format(heading=heading(data)), "## Aims\n",
           md_table(("what", "measured", "aim"), aims(data))]
    if memory_rows(data):
        out += ["## Memory\n", md_table(("what", ""), memory_rows(data))]
    out += ["## Rounds that failed, and do not count\n",
            *("* " + line.strip() for line in failed_lines(data)),
            "\n## All loads"]
    for cell in sorted(data.results, key=cell_order):
        out += [f"\n### {cell_title(cell)}\n",
                md_table(HEAD, cell_rows(data, cell))]
    return "\n".join(out)


def plain_json(data):
    """The same as JSON can say it: cells and pairs become words."""
    by_cell = {cell_title(cell): by for cell, by in data.results.items()}
    failures = {f"{cell_title(cell)}: {keeper}": why
                for (cell, keeper), why in data.failures.items()}
    return data._replace(results=by_cell, failures=failures)._asdict()


def put(folder, name, content):
    with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
        file.write(content)


def write_all(data, folder):
    os.makedirs(folder, exist_ok=True)
    put(folder, "table.txt", text(data))
    put(folder, "chart.svg", stacked(drawings(data)))
    put(folder, "index.html", html_page(data))
    put(folder, "results.json", json.dumps(plain_json(data), indent=1))


def write_doc(data, path):
    put(os.path.dirname(path), os.path.basename(path), markdown(data))
