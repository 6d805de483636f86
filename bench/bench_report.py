# SPDX-License-Identifier: Apache-2.0
"""Both benches on one page: aims first, then how it was before, then all that
was measured. Knows no server and starts nothing."""

import collections
import functools
import html

import aim
import bench_history
import report
import router_report
from report import html_head, html_list, html_table, number

# runs are those of the history, this one last; versions is (what, version).
Found = collections.namedtuple(
    "Found", "session router about versions runs")

RULE = "<h2>{}</h2>"
COLOUR = "#2a7fc1"


def headlines(session, router):
    return report.headlines(session) + router_report.headlines(router)


def machine_name(host):
    """What a machine is called in the history; a new kernel does not make it
    another one."""
    return f"{host['cores']} x {host['model']}, {host['memory_gb']} GB"


# ---- ratios ------------------------------------------------------------------

def count_aims(rows):
    """How many were met, in words."""
    judged = [row for row in rows if row[2].startswith(("met", "MISSED"))]
    met = sum(row[2].startswith("met") for row in judged)
    return (f"{met} of {len(judged)} aims met, {len(judged) - met} missed")


def html_aims(title, rows):
    return [f"<h3>{title}: {count_aims(rows)}</h3>",
            html_table([("what", "measured", "aim"), *rows])]


def headline_rows(found):
    last = found.runs[-1]
    for headline in headlines(found.session, found.router):
        value = last.get(headline.name)
        yield (headline.title,
               "not measured" if value is None else number(value),
               "less is better" if headline.is_less else "more is better")


# ---- before ------------------------------------------------------------------

def slip_lines(found):
    rows = bench_history.slips(found.runs,
                               headlines(found.session, found.router))
    return [f"MISSED its own past: {headline.title}: {number(value)}, "
            f"usually {number(usual)}" for headline, value, usual in rows]


def say_run(runs, x):
    run = runs[round(x)]
    return f"{run['date'][:10]} {run['commit']}"


def history_drawings(found):
    """A line of each ratio that was measured at least twice."""
    runs = bench_history.alike(found.runs)
    drawn = []
    for headline in headlines(found.session, found.router):
        points = [(i, run[headline.name]) for i, run in enumerate(runs)
                  if run.get(headline.name) is not None]
        if len(points) >= 2:
            way = "less" if headline.is_less else "more"
            label = f"last {number(points[-1][1])}; {way} is better"
            drawn.append(functools.partial(
                report.lines, headline.title, [(label, points, COLOUR)],
                say_x=functools.partial(say_run, runs), tall=70))
    return drawn


def html_history(found):
    runs = bench_history.alike(found.runs)
    out = [RULE.format("Headline ratios, and earlier runs"),
           html_table(headline_rows(found))]
    if len(runs) < 2:
        return out + ["<p>No earlier run of this plan on this machine.</p>"]
    slipped = slip_lines(found)
    out.append(f"<p>{len(runs) - 1} earlier run"
               f"{'s' * (len(runs) > 2)} of this plan on this machine. "
               + ("Worse by more than a tenth than the median of these:</p>"
                  + html_list(slipped) if slipped else
                  "Nothing is worse by more than a tenth than the median of "
                  "these.</p>"))
    return out + [report.side_by_side(history_drawings(found))]


# ---- page --------------------------------------------------------------------

def about_line(found):
    host, run = found.session.host, found.about
    minutes = (found.session.seconds + found.router.seconds) / 60
    return (f"{run['date']}, commit {run['commit']}, plan \"{run['plan']}\", "
            f"{minutes:.0f} minutes. {host['cores']} cores of "
            f"{host['model']}, {host['memory_gb']} GB, Linux "
            f"{host['kernel']}; load average {host['load']:.1f} at the start."
            + aim.busy(host))


def complaint_lines(session):
    return [f"{session.titles[keeper]} ({where}): {said['lines']} lines in its "
            f"error log, {said['degraded']} degraded writes; first: "
            f"{said['first'][:200]}"
            for where, by in session.extra.get("complaints", {}).items()
            for keeper, said in by.items()]


def page(found):
    out = [html_head("What sessions and routing cost", about_line(found)),
           RULE.format("Aims"),
           *html_aims("Sessions", report.aims(found.session)),
           *html_aims("Routing", router_report.aims(found.router)),
           *html_history(found),
           RULE.format("Measured with"), html_table(found.versions),
           RULE.format("Sessions"), report.html_body(found.session)]
    said = complaint_lines(found.session)
    if said:
        out += ["<h3>What servers logged</h3>", html_list(said)]
    out += [RULE.format("Routing"), router_report.html_body(found.router)]
    return "\n".join(out + [report.HTML_END])


def text(found):
    """What a terminal is told."""
    lines = [f"{title}: {count_aims(rows)}" for title, rows in (
        ("Sessions", report.aims(found.session)),
        ("Routing", router_report.aims(found.router)))]
    earlier = len(bench_history.alike(found.runs)) - 1
    return "\n".join(lines + [f"{earlier} earlier runs like this one",
                              *slip_lines(found)])
