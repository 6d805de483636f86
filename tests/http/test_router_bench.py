# SPDX-License-Identifier: Apache-2.0
"""The router bench measures what it says: its sums on numbers made up here,
and tiny real rounds before httpd. Speed is no matter here."""

import os
import sys
import xml.etree.ElementTree as xml
from types import SimpleNamespace

import pytest

from process import is_open
from test_bench import ROOT, tools

sys.path.insert(0, os.path.join(ROOT, "bench"))

import report                 # noqa: E402
import router_bench           # noqa: E402
import router_report          # noqa: E402
import routers                # noqa: E402

# ---- sums --------------------------------------------------------------------


def a_round(rate, p99=200.0, cpu=50.0):
    return {"rate": rate, "p50": 100.0, "p99": p99, "max": 900.0, "cpu": cpu}


def made_up(rate=980, p99=210.0, cpu=52.0, failed=0):
    """Results in which every aim can be judged."""
    results = {
        cell: {"stock": [a_round(1000)], "ours": [a_round(rate, p99)]}
        for cell in (("clients", 32), ("members", 2), ("members", 500))}
    results["sessions", 1000] = {"stock": [a_round(1000)],
                                 "ours": [a_round(990)]}
    results["sessions", 100000] = {"stock": [a_round(900)],
                                   "ours": [a_round(890, cpu=cpu)]}
    killed = {"kills": 9, "count": 5000, "failed": failed, "slow": 1,
              "moved": 64, "rate": 900.0, "p99": 300.0, "max": 2e5,
              "first_bad": "op r n 7: <gone>"}
    return router_report.Data(
        "usual", {"model": "a <processor>", "cores": 2, "load": 0.5},
        {c.name: c.title for c in routers.ALL}, results,
        {(("clients", 32), "nginx"): ["3 bad answers"]},
        {"ours": killed, "haproxy": {"broken": "no answer"}},
        {"stock": ["a line"]}, 600)


def judged(data, word):
    found = [row for row in router_report.aims(data) if word in row[0]]
    assert found, word
    return {row[2].split(":")[0] for row in found}


@pytest.mark.parametrize("word, bad", [
    ("requests/s to stock's", {"rate": 960}),
    ("p99 to stock's", {"p99": 230.0}),
    ("100,000 sessions to 1,000", {"cpu": 56.0}),
    ("failed requests, 9 clones killed", {"failed": 1}),
])
def test_an_aim_that_is_missed_says_so(word, bad):
    assert judged(made_up(), word) == {"met"}
    assert judged(made_up(**bad), word) == {"MISSED"}


def test_table_chart_and_page_show_what_was_measured(tmp_path):
    data = made_up(failed=2)
    router_report.write_all(data, tmp_path)
    router_report.write_doc(data, str(tmp_path / "doc.md"))
    table = (tmp_path / "table.txt").read_text()
    assert "32 clients, 4 members" in table
    assert "nginx (1 failed)" in table and "3 bad answers" in table
    assert "first failed request: op r n 7" in table
    assert "mod_jk is not here" in table
    for name in ("table.txt", "index.html", "doc.md"):
        assert "does not show how much chance" in (tmp_path / name).read_text()
    chart = xml.parse(tmp_path / "chart.svg").getroot()
    bars = [float(bar.get("width")) for bar in chart.iter(
        "{http://www.w3.org/2000/svg}rect")]
    assert len(bars) > 10 and max(bars) <= report.WIDTH
    page = (tmp_path / "index.html").read_text()
    assert page.count("<tr>") > 20 and "a &lt;processor&gt;" in page
    assert "| HAProxy | no answer |" in (tmp_path / "doc.md").read_text()


# ---- real rounds -------------------------------------------------------------

@pytest.fixture
def site(workdir):
    """site(classes...) -> (clones, routers), started."""
    opened = []

    def factory(*classes):
        members = [routers.Member(clone_id) for clone_id in "AB"]
        clones = [routers.Clones(tools(), [m]) for m in members]
        context = router_bench.running(clones, [c() for c in classes],
                                       os.path.join(workdir, "bench"),
                                       members)
        chosen = context.__enter__()
        opened.append(context)
        return clones, chosen

    yield factory
    for context in opened:
        context.__exit__()


def test_sticky_sessions_are_measured_and_others_are_no_speed(site):
    _, (stock, ours, placed) = site(routers.Stock, routers.Ours,
                                    router_bench.Placed)
    for router in (stock, ours, placed):
        found = router_bench.measure(tools(), router, 2, 0.3)
        assert found["rate"] > 0 and found["cpu"] >= 0, router.name
    # Cookies that it cannot take apart: sessions leave where they began.
    ours.path = "/app"
    with pytest.raises(router_bench.BadAnswers,
                       match="went to another clone"):
        router_bench.measure(tools(), ours, 2, 0.3, sessions=20)


def test_clones_die_under_load_and_what_fails_is_counted(site, monkeypatch):
    monkeypatch.setattr(router_bench, "KILL_EVERY_SEC", 0.6)
    monkeypatch.setattr(router_bench, "AWAY_SEC", 0.3)
    monkeypatch.setattr(router_bench, "CLIENTS", 4)
    clones, (ours,) = site(routers.Ours)
    found = router_bench.under_fire(SimpleNamespace(tools=tools()), ours,
                                    clones, 2)
    assert "broken" not in found, found
    assert found["kills"] >= 2 and found["count"] > 0
    assert found["moved"] > 0, "a session of a dead clone stayed there"
    assert all(is_open(clone.members[0].port) for clone in clones)


def test_visitors_go_on_when_nobody_answers(site):
    """Without a clone each request is a failed one, and no end."""
    clones, (ours,) = site(routers.Ours)
    for clone in clones:
        clone.kill9()
    with pytest.raises(router_bench.BadAnswers, match="bad answers: .* 503"):
        router_bench.run_load(tools(), ours, router_bench.Load(0, 0, 2), 0)
    for clone in clones:
        clone.start()
    said = router_bench.run_load(
        tools(), ours, router_bench.Load(0, 0, 2), 0.5, goes_on=True,
        when_ready=lambda: [clone.kill9() for clone in clones])
    assert said["bad"] > 1
