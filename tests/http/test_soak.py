# SPDX-License-Identifier: Apache-2.0
"""What soak takes for flat, what not, and what it writes."""

import os
import random
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

HISTORY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))), "history")
sys.path.insert(0, HISTORY)

import flat                                # noqa: E402
import soak                                # noqa: E402
from process import wait_until             # noqa: E402


def noise(count, middle, spread, seed=1):
    draw = random.Random(seed)
    return [middle + draw.uniform(-spread, spread) for _ in range(count)]


def word(what, values):
    return flat.judge_series("httpd1", what, values).word


def wave(count):
    """Children that come and go: the sum is a third more, or not."""
    return [100_000 + 30_000 * (i // 5 % 2) for i in range(count)]


@pytest.mark.parametrize("count", [24, 200, 3000])
def test_a_noisy_flat_series_is_flat(count):
    for seed in range(50):
        assert word("memory", noise(count, 1e5, 2e4, seed)) == flat.FLAT
        assert word("files", noise(count, 150, 40, seed)) == flat.FLAT
    assert word("memory", wave(count)) == flat.FLAT
    assert word("files", [40] * count) == flat.FLAT
    assert word("memory", [1e5 - 50 * i for i in range(count)]) == flat.FLAT


@pytest.mark.parametrize("count, times", [(24, 2), (200, 1), (3000, 1)])
@pytest.mark.parametrize("what, middle, spread, leak", [
    ("memory", 1e5, 1e4, 4e4), ("resident", 1e5, 1e4, 4e4),
    ("files", 150, 10, 60), ("processes", 4, 1, 6)])
def test_a_leak_is_found_in_noise(count, times, what, middle, spread, leak):
    """The fewer the measurements, the larger it has to be."""
    for seed in range(20):
        values = [v + times * leak * i / count for i, v in enumerate(
            noise(count, middle, spread, seed))]
        assert word(what, values) == flat.GREW


def test_warming_up_is_no_growth_and_a_leak_after_it_is():
    warm = [50_000 + min(i, 9) * 5_000 for i in range(40)]
    assert word("memory", warm) == flat.FLAT
    assert word("memory", [v + 500 * i for i, v in enumerate(warm)]) \
        == flat.GREW


def test_a_spike_is_no_growth():
    values = noise(200, 1e5, 1e3)
    values[-3:] = [9e5] * 3
    assert word("memory", values) == flat.FLAT


def test_what_is_too_short_is_not_flat():
    row = flat.judge_series("httpd1", "files", [40] * (flat.FEWEST - 1))
    assert row.word == flat.SHORT and not soak.is_flat([row])
    assert not soak.is_flat([])
    rows = soak.judge_growth([], ["httpd1"])
    assert len(rows) == len(soak.UNITS) and not soak.is_flat(rows)


# ---- real processes ----------------------------------------------------------

LEAKS = {
    "nothing": "pass",
    "memory": "kept.append(bytearray(400_000))",
    "files": "kept.append(open('/dev/null'))",
}
PROGRAM = """import sys
kept = []
for line in sys.stdin:
    {leak}
    print(len(kept), flush=True)
"""


def start(leak):
    """A process that leaks a bit at each step()."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(leak=LEAKS[leak])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def step(process):
    """One more; returns when it is done."""
    process.stdin.write("\n")
    process.stdin.flush()
    process.stdout.readline()


@pytest.mark.parametrize("leak", LEAKS)
def test_a_process_that_leaks_is_found(leak):
    with start(leak) as it:
        samples = []
        for i in range(40):
            step(it)
            samples.append((float(i), soak.measure({"httpd1": [it.pid]})))
        it.stdin.close()
    grew = {row.what for row in soak.judge_growth(samples, ["httpd1"])
            if row.word == flat.GREW}
    assert grew == {"nothing": set(), "memory": {"memory", "resident"},
                    "files": {"files"}}[leak]


def test_a_child_that_is_replaced_counts_for_its_server():
    """A dead pid is nothing, its successor is added under the same name."""
    with start("nothing") as old, start("nothing") as new:
        step(old)
        step(new)
        first, second, both = (soak.measure({"httpd1": pids})["httpd1"]
                               for pids in ([old.pid], [new.pid],
                                            [old.pid, new.pid]))
        old.kill()
        old.wait()
        one = soak.measure({"httpd1": [old.pid, new.pid]})["httpd1"]
        new.kill()
    assert (both["processes"], one["processes"]) == (2, 1)
    assert both["resident"] == first["resident"] + second["resident"]
    assert both["files"] == first["files"] + second["files"]
    assert (one["files"], one["resident"]) == (second["files"],
                                               second["resident"])
    assert soak.measure({"m1": [old.pid]}) == {}


def test_measuring_is_not_done_too_often(capsys):
    watch = soak.Watch(every=0.05)
    wait_until(lambda: watch.look(dict, str) or len(watch.samples) == 3)
    assert watch.samples[2][0] - watch.samples[0][0] >= 0.1


# ---- the report --------------------------------------------------------------

def sample(i, files):
    values = {"memory": 1000, "resident": 2000, "files": files,
              "processes": 3}
    return float(i), {"httpd1": values, "m<1>": values}


def test_page_plots_and_measurements_are_written(tmp_path):
    samples = [sample(i, 20 + 5 * i) for i in range(40)]
    rows = soak.judge_growth(samples, ["httpd1"])
    assert [(r.name, r.what) for r in rows if r.word == flat.GREW] == [
        ("httpd1", "files"), ("m<1>", "files")]
    soak.write_report(tmp_path, "Soak: a & b", samples, rows,
                      ["seed 1 < 2"], soak.is_flat(rows))
    page = xml.parse(tmp_path / "index.html")
    text = "".join(page.getroot().itertext())
    assert "FAILED" in text and "seed 1 < 2" in text and "m<1>" in text
    line = "{http://www.w3.org/2000/svg}polyline"
    assert len(list(page.iter(line))) == 2 * len(soak.UNITS)
    for what in soak.UNITS:
        assert len(list(xml.parse(tmp_path / f"{what}.svg").iter(line))) == 2
    assert len((tmp_path / "samples.csv").read_text().splitlines()) == 81
