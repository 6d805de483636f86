# SPDX-License-Identifier: Apache-2.0
"""The session bench measures what it says: its sums on numbers made up here,
and one tiny real round. Speed is no matter here."""

import os
import re
import sys
import xml.etree.ElementTree as xml

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))

import aim                    # noqa: E402
import report                 # noqa: E402
import rivals                 # noqa: E402
import session_bench          # noqa: E402
from session_bench import Load  # noqa: E402


def tools():
    """The folder of the bench's programs, beside that of the modules."""
    modules = os.environ.get("MODULES") or os.path.join(ROOT, "out", "modules")
    folder = os.path.join(os.path.dirname(os.path.abspath(modules)), "bench")
    assert os.path.exists(os.path.join(folder, "load")), \
        f"no {folder}/load: run make bench-tools"
    return folder


# ---- sums --------------------------------------------------------------------

def a_round(rate, p50=100.0, sent=0, got=0):
    return {"rate": rate, "p50": p50, "p99": 2 * p50, "max": 3 * p50,
            "cpu": 50.0, "sent": sent, "got": got}


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    """A slow minute that hits both in one round changes nothing."""
    ours = [a_round(10), a_round(1), a_round(30)]
    others = [a_round(5), a_round(0.5), a_round(10)]
    assert report.ratio(ours, others, "rate") == 2
    assert report.ratio(ours, [], "rate") is None
    assert report.middle(ours, "rate") == 10


def buckets(*counts, slow=1000.0):
    return [[count, slow] for count in counts]


@pytest.mark.parametrize("counts, back", [
    # 0.1 s each; the node freezes at 1.0 s; the last one is cut off
    ([100] * 21, 0),
    ([100] * 10 + [0] * 3 + [100] * 8, 0.3),
    # 90 % over half a second is what counts, not one good moment
    ([100] * 10 + [0, 0, 100, 0, 0] + [92] * 10, 0.5),
    ([100] * 10 + [80] * 11, None),
])
def test_a_freeze_is_judged_by_when_90_percent_are_back(counts, back):
    found = report.judge_freeze(buckets(*counts), 0.1, 1.0)
    assert found["before"] == pytest.approx(1000)
    assert found["back"] == (None if back is None else pytest.approx(back))


def test_the_slowest_request_after_the_freeze_is_told():
    spans = buckets(*[100] * 21)
    spans[3][1], spans[15][1] = 9e5, 2e5
    found = report.judge_freeze(spans, 0.1, 1.0)
    assert (found["slowest"], found["slowest_before"]) == (2e5, 9e5)


def test_memory_of_items_is_that_of_their_slab_chunks():
    assert report.slab_bytes("STAT 5:chunk_size 240\r\nSTAT 5:used_chunks 3"
                             "\r\nSTAT 15:chunk_size 2000\r\nSTAT "
                             "15:used_chunks 2\r\nSTAT active_slabs 2\r\n"
                             "END\r\n") == 3 * 240 + 2 * 2000


def made_up(ha3_p50=110.0, ha1_sent=400, freeze_back=1.0):
    """Results in which every aim can be judged."""
    size = report.SIZE
    results = {}
    for where in ("direct", "delay"):
        for writes in (0, 100):
            sent = {"plain": 4000, "ha1": ha1_sent} if writes else {}
            results[where, writes, size, 1] = {
                name: [a_round(rate, p50, sent.get(name, 0) + 50)]
                for name, rate, p50 in (
                    ("none", 9000, 10.0), ("plain", 1000, 100.0),
                    ("ha1", 1000, 100.0), ("ha2", 990, 101.0),
                    ("ha3", 980, ha3_p50), ("pg", 100, 900.0),
                    ("phplock", 500, 300.0))}
    counts = [100] * 10 + [0] * round(10 * freeze_back) + [100] * 30
    titles = {k.name: k.title for k in rivals.all_keepers()}
    return report.Data(
        "usual", {"model": "a <processor>", "cores": 2, "load": 0.5}, titles,
        results, {(("direct", 0, size, 1), "cookie"): ["3 bad answers"],
                  (("direct", 0, size, 1), "ha2"): ["1 bad answers"]},
        {"freeze": report.judge_freeze(buckets(*counts), 0.1, 1.0),
         "memory": {"sample": {"sessions": 100, "size": 1024, "copies": 2,
                               "items": 200, "item_bytes": 1300.0,
                               "rss_kb": 300, "slab_bytes": 200 * 1500},
                    "node_empty_kb": 4000, "child": (2048, 3000),
                    "child_none": (1024, 2000)}}, 600)


def judged(data, word):
    found = [row for row in report.aims(data) if word in row[0]]
    assert found, word
    return found[0][2].split(":")[0]


@pytest.mark.parametrize("value, bound, is_less, words", [
    (0.9699, 0.97, False, ("0.9699", "MISSED: at least 0.97")),
    (0.966, 0.97, False, ("0.966", "MISSED: at least 0.97")),
    (0.97, 0.97, False, ("0.970", "met: at least 0.97")),
    (1.1004, 1.1, True, ("1.1004", "MISSED: at most 1.1")),
    (0.5, 0.97, False, ("0.50", "MISSED: at least 0.97")),
    (255.338, 250, True, ("255.34", "MISSED: at most 250")),
])
def test_a_number_shows_on_which_side_of_its_aim_it_is(value, bound, is_less,
                                                       words):
    assert aim.verdict("what", value, bound, is_less)[1:] == words


def test_noise_is_how_far_rounds_are_off_the_median_of_their_load():
    """Off by 0, 2, 2 and by 0, 10, 10 percent: half of them by more than 2,
    which leaves a median of three at 1.4826 * 1.2533 * 2 / sqrt(3)."""
    said = aim.noise_line([[0.98, 1.0, 1.02], [0.45, 0.5, 0.55], [7]],
                          "requests/s", 0.97)
    assert "aim of requests/s leaves 3 %" in said
    assert "more than 2.0 % off" in said and "one is 10 % off" in said
    assert "a median of 3 rounds is good to about 2.1 %" in said
    assert "does not show" in aim.noise_line([[1.0]], "requests/s", 0.97)


@pytest.mark.parametrize("cores, load, warns", [
    (2, 1.0, False), (2, 1.1, True), (8, 3.1, False)])
def test_a_machine_that_was_not_free_is_warned_of(cores, load, warns, tmp_path):
    host = {"model": "a processor", "cores": cores, "load": load}
    data = made_up()._replace(host=host)
    report.write_all(data, tmp_path)
    report.write_doc(data, str(tmp_path / "doc.md"))
    for name in ("table.txt", "index.html", "doc.md"):
        assert ("WARNING" in (tmp_path / name).read_text()) is warns, name


@pytest.mark.parametrize("word, bad", [
    ("R=3 to R=1", {"ha3_p50": 120.0}),
    ("sent to the store", {"ha1_sent": 500}),
    ("one of three nodes", {"freeze_back": 2.5}),
])
def test_an_aim_that_is_missed_says_so(word, bad):
    assert judged(made_up(), word) == "met"
    assert judged(made_up(**bad), word) == "MISSED"


def test_a_million_sessions_are_computed_from_the_sample():
    rows = dict(report.memory_rows(made_up()))
    # two copies of 1500 bytes, a million times
    assert rows["a million sessions, 2 copies, all nodes, computed"] \
        == f"{2 * 1500 * 1e6 / 2**20:.0f} MiB"


def test_table_chart_and_page_show_what_was_measured(tmp_path):
    data = made_up()
    report.write_all(data, tmp_path)
    report.write_doc(data, str(tmp_path / "doc.md"))
    table = (tmp_path / "table.txt").read_text()
    assert "reads, 4 kB, 1 client, no delay" in table
    assert re.search(r"mod_session_cookie \(1 failed\) +3 bad answers", table)
    assert re.search(r"mod_session_ha, R = 2 \(1 failed\) +990", table)
    chart = xml.parse(tmp_path / "chart.svg").getroot()
    wide = {}
    for group in chart.iter("{http://www.w3.org/2000/svg}rect"):
        wide[float(group.get("width"))] = group
    assert len(wide) > 5 and max(wide) <= report.WIDTH
    assert (tmp_path / "index.html").read_text().count("<tr>") > 20
    assert "| mod_session_ha, R = 3 |" in (tmp_path / "doc.md").read_text()
    assert "a &lt;processor&gt;" in (tmp_path / "index.html").read_text()


# ---- one real round ----------------------------------------------------------

@pytest.fixture
def bench(workdir, monkeypatch):
    """bench(delay_usec, keepers...) -> (stores, network, keepers) started."""
    monkeypatch.setattr(rivals.Ours, "budget", "2s")
    started = []
    args = session_bench.parse(
        ["--tools", tools()], [k.name for k in rivals.all_keepers()])

    def factory(delay_usec, *names):
        folder = os.path.join(workdir, f"bench{len(started)}")
        phase = session_bench.start_phase(args, folder, set(names),
                                          delay_usec)
        started.append(phase)
        return phase

    yield factory
    for stores, network, keepers in started:
        session_bench.stop_all([stores, network] + keepers)


def test_a_round_through_the_relay_takes_its_time_and_counts_bytes(bench):
    stores, network, (none, plain, ours) = bench(5000, "none", "plain", "ha1")
    load = Load(100, 1024, 2)
    found = {k.name: session_bench.measure(tools(), k, stores, network, load,
                                           0.6)
             for k in (none, plain, ours)}
    assert all(f["rate"] > 0 and f["cpu"] >= 0 for f in found.values())
    # a write waits for two answers, each of them 5 ms away, and 5 ms back
    assert found["plain"]["p50"] > 20000 and found["ha1"]["p50"] > 20000
    # web servers tell each other now and then what they are set up by
    assert found["none"]["sent"] < 20
    # the whole session against one record and its questions; requests under
    # way when counting begins and ends make some difference
    assert 512 < found["plain"]["sent"]
    assert 100 < found["ha1"]["sent"] < found["plain"]["sent"]
    assert found["ha1"]["got"] > 1024


def test_answers_that_lack_what_was_written_are_no_speed(bench, monkeypatch):
    """A server that gets no cookie finds no session."""
    conf = rivals.Cookie.conf
    monkeypatch.setattr(
        rivals.Cookie, "conf",
        lambda *args: "RequestHeader unset Cookie early\n" + conf(*args))
    stores, network, (cookie,) = bench(0, "cookie")
    with pytest.raises(session_bench.BadAnswers, match="bad answers.* 410"):
        session_bench.measure(tools(), cookie, stores, network,
                              Load(0, 512, 2), 0.2)
