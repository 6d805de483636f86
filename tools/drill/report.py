# SPDX-License-Identifier: Apache-2.0
"""The report: as text for a terminal, and as a picture that needs no script."""

import contextlib
import html
import os
import re
import secrets
from dataclasses import dataclass

COLUMNS = 72            # of the timeline on a terminal
BARS = 300              # of the picture, from left to right
SHOWN = 40              # losses and failures that are listed
COLOURS = {"kill": "#c0392b", "stop": "#8d6a9f", "slow": "#b08900",
           "cut": "#1b6ca8", "hang": "#555555"}
OTHER = "#3a7d44"
MARKS = {"slow": "~"}    # the others: their first letter
FORMS = (".txt", ".svg", ".html")
# What a terminal obeys, or XML forbids: C0, DEL, C1, half a character.
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@dataclass
class Result:
    """All that is known at the end. stopped: why it ended early, or None."""
    plan: object
    seed: int
    began: str          # date and time
    seconds: float
    rounds: list
    targets: list
    tally: object
    stopped: str

    def status(self):
        if self.stopped:
            return 3
        return 1 if self.tally.harmed() else 0


def clean(words):
    """What a page or a command said, fit to be shown: no control characters,
    and one line."""
    return CONTROL.sub(
        lambda found: ascii(found[0])[1:-1] if found[0] not in "\t\r\n"
        else " ", words)


# ---- numbers ----------------------------------------------------------------

def effect(result, done):
    """What a round did to requests. One after which the site never was whole
    ends with the run."""
    end = done.whole or result.tally.begun + result.seconds
    events, losses, slowest = result.tally.span(done.begun, end)
    count = {word: sum(e.word == word for e in events)
             for word in ("failed", "slow", "late", "repeated", "unknown")}
    last = max((e.when + e.took for e in events), default=done.begun)
    return {**count, "losses": len(losses), "slowest": slowest,
            "normal": max(0.0, last - done.begun),
            "out": (done.back or end) - done.begun,
            "whole": done.whole - done.back if done.whole else None}


def name_of(faults):
    return clean(", ".join(f"{name} {way}" for name, way in faults))


def seconds_or_never(seconds, unit=" s"):
    return "never" if seconds is None else f"{seconds:.1f}{unit}"


def by_fault(result):
    """{fault: its numbers over all rounds it was in, the worst of each}"""
    found = {}
    for done in result.rounds:
        seen = effect(result, done)
        for pair in done.faults:
            row = found.setdefault(" ".join(pair), {
                "times": 0, "failed": 0, "normal": 0.0, "whole": 0.0,
                "slowest": 0.0})
            row["times"] += 1
            row["failed"] += seen["failed"] + seen["losses"]
            for key in ("normal", "slowest"):
                row[key] = max(row[key], seen[key])
            row["whole"] = None if None in (row["whole"], seen["whole"]) \
                else max(row["whole"], seen["whole"])
    return found


def verdict(result):
    """The first line. What stopped a run does not hide what it did."""
    harm = "Users lost something." if result.tally.losses else \
        "Requests failed." if result.tally.totals()["failed"] else ""
    if result.stopped:
        return f"Stopped early: {clean(result.stopped)}. {harm}".rstrip()
    return harm or "Nothing was lost, no request failed."


def to_normal(result):
    """Of all rounds, the worst."""
    seen = [effect(result, done) for done in result.rounds]
    whole = [one["whole"] for one in seen if one["whole"] is not None]
    words = [f"users {max(one['normal'] for one in seen):.1f} s after a fault "
             "at the latest"]
    if whole:
        words += [f"the site whole {max(whole):.1f} s after it was over"]
    if len(whole) < len(seen):
        words += [f"{len(seen) - len(whole)} of {len(seen)} rounds never"
                  if whole else "the site never whole"]
    return "; ".join(words)


def summary(result):
    total, words = result.tally.totals(), result.tally.words()
    faults = sum(len(d.faults) for d in result.rounds)
    lines = [
        ("seed", f"{result.seed}"),
        ("began", f"{result.began}, for {result.seconds:.0f} s"),
        ("faults", f"{faults} in {len(result.rounds)} rounds"),
        ("users", f"{result.plan.count}: {total['visits']} visits, "
                  f"{total['changes']} changes acknowledged, "
                  f"{total['looks']} looks"),
        ("sessions", f"{words['lost']} lost, {words['revived']} revived, "
                     f"{words['wrong']} wrong"),
        ("requests", f"{total['requests']}: {total['failed']} failed, "
                     f"{total['late']} late (over {result.plan.usual:g} s), "
                     f"{total['slow']} slow (over {result.plan.slow:g} s)"),
        ("", f"{total['repeated']} repeated on another web server, "
             f"{total['unknown']} of unknown outcome"),
        ("", f"{total['elsewhere']} connections refused, the next web server "
             "asked instead"),
        ("slowest", f"{result.tally.slowest:.2f} s")]
    if result.rounds:
        lines += [("to normal", to_normal(result))]
    return lines


# ---- text -------------------------------------------------------------------

def table(head, rows):
    rows = [head] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    return "\n".join("  " + "  ".join(
        cell.ljust(width) if i == 0 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in rows)


def fault_table(result):
    return table(
        ["fault", "times", "failed", "users normal", "site whole",
         "slowest"],
        [[name, str(row["times"]), str(row["failed"]),
          f"{row['normal']:.1f} s", seconds_or_never(row["whole"]),
          f"{row['slowest']:.2f} s"]
         for name, row in sorted(by_fault(result).items())])


def round_table(result):
    rows = []
    for done in result.rounds:
        seen = effect(result, done)
        rows.append([
            name_of(done.faults), f"{done.begun - result.tally.begun:.1f}",
            f"{seen['out']:.1f}", f"{seen['normal']:.1f}",
            seconds_or_never(seen["whole"], ""),
            str(seen["failed"]), str(seen["losses"]), str(seen["slow"]),
            str(seen["repeated"]), str(seen["unknown"]),
            f"{seen['slowest']:.2f}"])
    return table(["round", "at", "out", "normal", "whole", "failed", "lost",
                  "slow", "repeated", "unknown", "slowest"], rows)


def strip(result, first, last, marks):
    """COLUMNS characters; marks: (begin, end, character), later ones win."""
    line = [" "] * COLUMNS
    width = max(last - first, 0.001) / COLUMNS
    for begin, end, mark in marks:
        at = max(0, int((begin - first) / width))
        for i in range(at, min(COLUMNS, int((end - first) / width) + 1)):
            line[i] = mark
    return "".join(line).rstrip()


def mark_of(way):
    return MARKS.get(way, way[0].upper())


def legend(result):
    """What the characters of the timeline mean."""
    ways = dict.fromkeys(way for target in result.targets
                         for _, _, way in target.spans)
    return ", ".join([f"{mark_of(way)} {way}" for way in ways] + [
        ". late", "s slow", "r repeated", "? unknown", "! failed or lost"])


def timeline(result):
    """A line a target, and what users met below."""
    first = result.tally.begun
    last = first + result.seconds
    lines = []
    for target in result.targets:
        marks = [(begin, end or last, mark_of(way))
                 for begin, end, way in target.spans]
        lines.append((target.name, strip(result, first, last, marks)))
    for word, mark in (("late", "."), ("slow", "s"), ("repeated", "r"),
                       ("unknown", "?"), ("failed", "!")):
        marks = [(e.when, e.when + e.took, mark) for e in result.tally.events
                 if e.word == word]
        lines.append((word, strip(result, first, last, marks)))
    marks = [(one.when, one.when, "!") for one in result.tally.losses]
    lines.append(("lost", strip(result, first, last, marks)))
    width = max(len(name) for name, _ in lines)
    return "\n".join(f"  {name:<{width}} |{line}" for name, line in lines) + \
        f"\n  {'':<{width}} +{'-' * COLUMNS} {result.seconds:.0f} s" \
        f"\n  {'':<{width}}  {legend(result)}"


def troubles(result):
    found = [str(one) for one in result.tally.losses]
    found += [f"{e.word}: {e.text} (after {e.took:.2f} s, at "
              f"{e.when - result.tally.begun:.1f} s)"
              for e in result.tally.events if e.word in ("failed", "slow")]
    found += [f"round {d.number}: {w}" for d in result.rounds
              for w in d.words]
    lines = [f"  {clean(line)}" for line in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    return "\n".join(lines)


def screen(result):
    """What fits on the last screen."""
    parts = [verdict(result), "\n".join(
        f"  {name:<10} {text}" for name, text in summary(result))]
    if troubles(result):
        parts.append(troubles(result))
    if result.rounds:
        parts += [timeline(result), fault_table(result)]
    return "\n\n".join(parts) + "\n"


def text(result):
    """All of it. Times are in seconds; "normal" is from a round's begin to the
    end of the last request that was not as usual."""
    return screen(result) + ("\n" + round_table(result) + "\n"
                             if result.rounds else "")


# ---- the picture ------------------------------------------------------------

class Picture:
    """An SVG with time from left to right."""

    LEFT, RIGHT, ROW = 120, 880, 18

    def __init__(self, result):
        self.result = result
        self.first = result.tally.begun
        self.span = max(result.seconds, 0.001)
        self.parts = []
        self.y = 44

    def x(self, when):
        share = min(max((when - self.first) / self.span, 0), 1)
        return self.LEFT + share * (self.RIGHT - self.LEFT)

    def label(self, y, words, x=None, anchor="end"):
        x = self.LEFT - 8 if x is None else x
        self.parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">'
                          f'{html.escape(clean(words))}</text>')

    def bar(self, begin, end, y, height, colour, title):
        left = self.x(begin)
        self.parts.append(
            f'<rect x="{left:.1f}" y="{y:.1f}" width="'
            f'{max(self.x(end) - left, 1.5):.1f}" height="{height:.1f}" '
            f'fill="{colour}"><title>{html.escape(clean(title))}</title>'
            '</rect>')

    def targets(self):
        last = self.first + self.result.seconds
        for target in self.result.targets:
            self.label(self.y + 12, target.name)
            self.parts.append(f'<path d="M{self.LEFT} {self.y + 8}H'
                              f'{self.RIGHT}" stroke="#ddd"/>')
            for begin, end, way in target.spans:
                self.bar(begin, end or last, self.y + 2, 12,
                         COLOURS.get(way, OTHER),
                         f"{target.name} {way}, at {begin - self.first:.1f} s "
                         f"for {(end or last) - begin:.1f} s")
            self.y += self.ROW

    def columns(self, name, height, value, colour, unit):
        """A column for each second, or for several of a long run."""
        wide = max(1, -(-int(self.span) // BARS))
        parts = {}
        for at, second in list(self.result.tally.seconds.items()):
            parts.setdefault(at // wide * wide, []).append(second)
        bars = {at: value(seconds) for at, seconds in sorted(parts.items())}
        most = max(bars.values(), default=0) or 1
        self.y += 10
        self.label(self.y + height, name)
        self.label(self.y + 10, f"{most:.3g}{unit}")
        for at, much in bars.items():
            if much:
                tall = height * much / most
                self.bar(self.first + at, self.first + at + wide,
                         self.y + height - tall, tall, colour,
                         f"{at} s: {much:.3g}{unit}")
        self.y += height

    def harm(self):
        self.y += 10
        self.label(self.y + 12, "failed, lost")
        for event in self.result.tally.events:
            if event.word == "failed":
                self.bar(event.when, event.when + event.took, self.y + 2, 12,
                         "#c0392b", event.text)
        for loss in self.result.tally.losses:
            self.bar(loss.when, loss.when, self.y + 2, 12, "#000", str(loss))
        self.y += self.ROW

    def legend(self):
        self.y += 16
        step = max(1, round(self.span / 10))
        for at in range(0, int(self.span) + 1, step):
            self.label(self.y, f"{at} s", self.x(self.first + at), "middle")
        self.y += 22
        x = self.LEFT
        ways = dict.fromkeys(way for t in self.result.targets
                             for _, _, way in t.spans)
        for way in ways:
            self.parts.append(f'<rect x="{x}" y="{self.y - 10}" width="12" '
                              f'height="12" fill="{COLOURS.get(way, OTHER)}"'
                              '/>')
            self.label(self.y, way, x + 17, "start")
            x += 40 + 8 * len(way)

    def draw(self):
        self.targets()
        self.columns("requests a second", 50, lambda part: sum(
            s.requests for s in part) / len(part), "#2e8b57", "")
        self.columns("slowest", 50, lambda part: max(
            s.slowest for s in part), "#1b6ca8", " s")
        self.columns("sent again", 24, lambda part: sum(
            s.repeated + s.unknown for s in part), "#b08900", "")
        self.harm()
        self.legend()
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="900" '
                f'height="{self.y + 12}" viewBox="0 0 900 {self.y + 12}" '
                'font-family="sans-serif" font-size="11">\n'
                '<rect width="100%" height="100%" fill="white"/>\n'
                f'<text x="20" y="26" font-size="15">'
                f'{html.escape(verdict(self.result))} Seed '
                f'{self.result.seed}.</text>\n' + "\n".join(self.parts)
                + "\n</svg>\n")


def svg(result):
    return Picture(result).draw()


def page(result):
    title = html.escape(verdict(result))
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<title>{title}</title><style>body{{font-family:sans-serif;'
            f'max-width:60rem;margin:1rem auto;padding:0 1rem}}pre{{overflow-x'
            f':auto}}svg{{max-width:100%;height:auto}}</style></head><body>\n'
            f'<h1>{title}</h1>\n{svg(result)}'
            f'<pre>{html.escape(text(result))}</pre>\n</body></html>\n')


def write(result, path):
    """Into a file, its form by its name, or all forms into a folder."""
    makers = {".txt": text, ".svg": svg, ".html": page}
    form = os.path.splitext(path)[1]
    files = {path: makers[form]} if form in makers else {
        os.path.join(path, "drill" + end): make
        for end, make in makers.items()}
    if form not in makers:
        os.makedirs(path, exist_ok=True)
    for name, make in files.items():
        put(name, make(result))


def put(name, words):
    """All of the file or none of it: under a name that nobody can have laid a
    link at, until it is whole."""
    fresh = os.path.join(os.path.dirname(name),
                         f".drill-{secrets.token_hex(8)}")
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644),
                  "w", encoding="utf-8") as f:
            f.write(words)
        os.replace(fresh, name)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        raise
