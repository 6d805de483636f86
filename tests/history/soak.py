# SPDX-License-Identifier: Apache-2.0
"""A long history that also watches memory and open files.

After each epoch, with all nodes mended, the proportional memory (PSS) and
open files of the web servers and of the nodes are written down. Web servers
must stay flat: the median of the last quarter may exceed that of the second
one (the first warms up) by GROWTH and a little. Nodes hold what they are
given, up to their -m; theirs is drawn and not judged.
"""

import os
import shutil
import statistics
import tempfile
import time

from game import play, story

GROWTH = 1.15
SLACK = {"memory": 8 * 1024, "files": 24}     # kB; descriptors
FEWEST = 8                                    # samples that can be judged
COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8d6a9f", "#b08900", "#555555")


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return sum(int(line.split()[1]) for line in f
                   if line.startswith("Pss:"))


def measure(processes):
    """{name: {"memory": kB, "files": n}}; of what ends meanwhile, nothing."""
    result = {}
    for name, pids in processes.items():
        total = {"memory": 0, "files": 0}
        for pid in pids:
            try:
                total["memory"] += pss_kb(pid)
                total["files"] += len(os.listdir(f"/proc/{pid}/fd"))
            except (FileNotFoundError, ProcessLookupError):
                pass
        result[name] = total
    return result


def growth(values):
    """(early, late) medians; the first quarter is left out."""
    quarter = len(values) // 4
    return (statistics.median(values[quarter:2 * quarter]),
            statistics.median(values[-quarter:]))


def judge_growth(samples, names):
    """What is not flat, as lines."""
    if len(samples) < FEWEST:
        return []
    faults = []
    for name in names:
        for what, slack in SLACK.items():
            early, late = growth([s[name][what] for _, s in samples])
            if late > early * GROWTH + slack:
                faults.append(f"{name}: {what} grew from {early:.0f} to "
                              f"{late:.0f}")
    return faults


# ---- plots ------------------------------------------------------------------

def text_plot(samples, names, what, width=60, height=10):
    lines = []
    for name in names:
        values = [s[name][what] for _, s in samples if name in s]
        top = max(values + [1])
        step = max(1, len(values) / width)
        columns = [max(values[int(i * step):int((i + 1) * step) or 1]
                       or [values[-1]])
                   for i in range(min(width, len(values)))]
        lines.append(f"{name}: {what}, up to {top}")
        for row in range(height, 0, -1):
            lines.append("  |" + "".join(
                "#" if v * height >= row * top else " " for v in columns))
        lines.append("  +" + "-" * len(columns))
    return "\n".join(lines)


def svg_plot(samples, names, what, unit):
    """One line a name, with axes from nought."""
    width, height, left, bottom = 760, 320, 70, 40
    end = max(when for when, _ in samples) or 1
    top = max([s[n][what] for _, s in samples for n in names if n in s] + [1])
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 160}" '
             f'height="{height + bottom + 20}" font-family="sans-serif" '
             f'font-size="12">',
             '<rect width="100%" height="100%" fill="white"/>']
    for i in range(5):
        y = height + 10 - i * height / 4
        parts.append(f'<path d="M{left} {y}H{width}" stroke="#ddd"/>'
                     f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">'
                     f'{top * i / 4:.0f}</text>')
        x = left + i * (width - left) / 4
        parts.append(f'<text x="{x}" y="{height + 28}" text-anchor="middle">'
                     f'{end * i / 4:.0f} s</text>')
    for i, name in enumerate(names):
        points = " ".join(
            f"{left + when / end * (width - left):.1f},"
            f"{height + 10 - s[name][what] / top * height:.1f}"
            for when, s in samples if name in s)
        colour = COLOURS[i % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" '
                     f'stroke="{colour}" stroke-width="2"/>'
                     f'<text x="{width + 10}" y="{30 + 18 * i}" '
                     f'fill="{colour}">{name}</text>')
    parts.append(f'<text x="{left}" y="{height + 52}">{what}, {unit}</text>'
                 '</svg>')
    return "\n".join(parts) + "\n"


def write_plots(folder, samples):
    names = sorted({name for _, s in samples for name in s})
    text = []
    for what, unit in (("memory", "kB, proportional"), ("files", "open")):
        with open(os.path.join(folder, what + ".svg"), "w",
                  encoding="utf-8") as f:
            f.write(svg_plot(samples, names, what, unit))
        text.append(text_plot(samples, names, what))
    with open(os.path.join(folder, "soak.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(text) + "\n")


# ---- the run ----------------------------------------------------------------

def soak(plan, folder):
    """Play it, and watch; the exit status."""
    os.makedirs(folder, exist_ok=True)
    samples = []
    begun = time.monotonic()

    def watch(game):
        samples.append((time.monotonic() - begun,
                        measure(game.world.processes())))
        write_plots(folder, samples)
        print(f"{samples[-1][0]:7.0f} s  {game.verdict.epochs} epochs, "
              f"{game.history.count} operations, "
              f"{game.verdict.disturbed} disturbed", flush=True)

    work = tempfile.mkdtemp(prefix="session-ha-soak-")
    try:
        game = play(plan, work, between=watch)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    faults = judge_growth(samples, [s.name for s in game.world.servers])
    print(f"seed {plan['seed']}, {plan['replicas']} replicas")
    print(game.verdict.summary())
    for violation in game.verdict.violations[:5]:
        print(story(game, violation))
    for line in game.verdict.crashes + faults:
        print(line)
    print(f"plots: {folder}")
    return 0 if game.verdict.is_good and not faults else 1
