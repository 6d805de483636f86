# SPDX-License-Identifier: Apache-2.0
"""make bench's page and history, from results made up here."""

import os
import re
import sys
import xml.etree.ElementTree as xml
from types import SimpleNamespace

import pytest

import test_bench
import test_router_bench
from browser import DESKTOP, PHONE, Browser
from test_bench import ROOT

sys.path.insert(0, os.path.join(ROOT, "bench"))

import bench                  # noqa: E402
import bench_history          # noqa: E402
import bench_report           # noqa: E402
import report                 # noqa: E402
import router_report          # noqa: E402
import versions               # noqa: E402
from report import Headline   # noqa: E402

HOST = {"model": "a <processor>", "cores": 2, "load": 0.5, "memory_gb": 4,
        "kernel": "6.1 <k>"}
SVG = "http://www.w3.org/2000/svg"


def made_up(**router):
    complaint = {"lines": 1, "degraded": 0, "first": "<said>"}
    session = test_bench.made_up()
    session.extra["complaints"] = {"direct": {"ha2": complaint}}
    return (session._replace(host=HOST),
            test_router_bench.made_up(**router)._replace(host=HOST))


@pytest.fixture
def once(tmp_path, monkeypatch):
    """once(**router) -> what one more run leaves; .page is its HTML."""
    monkeypatch.setattr(versions, "commit", lambda: "abc<1>")
    monkeypatch.setattr(versions, "versions",
                        lambda: [("a server", "2.4 <v>")])
    args = SimpleNamespace(tools=str(tmp_path), plan="usual",
                           history=str(tmp_path / "history.csv"))

    def run(**router):
        found = bench.keep(*made_up(**router), args)
        return SimpleNamespace(
            found=found, page=(tmp_path / "report.html").read_text(),
            path=str(tmp_path / "report.html"))

    return run


def test_the_load_before_the_first_bench_is_that_of_both(monkeypatch,
                                                         tmp_path):
    """The first would be what the second one finds running."""
    session, router = made_up()
    given = []
    monkeypatch.setattr(bench.session_bench, "bench", lambda words: session)
    monkeypatch.setattr(bench.router_bench, "bench", lambda words, host:
                        given.append(host) or router)
    monkeypatch.setattr(versions, "versions", lambda: [])
    assert bench.main(["--tools", str(tmp_path), "--history",
                       str(tmp_path / "history.csv")]) == 0
    assert given == [session.host]


# ---- page --------------------------------------------------------------------

def words_of(page):
    """Each cell, list item and word of a chart, as a reader sees it."""
    root = xml.fromstring(page.replace("<!DOCTYPE html>", ""))
    return [" ".join("".join(e.itertext()).split()) for e in root.iter()
            if e.tag in ("td", "li", "p", "h3", f"{{{SVG}}}text")]


def test_the_page_holds_every_row(once):
    left = once()
    words = words_of(left.page)
    session, router = left.found.session, left.found.router
    rows = [*report.aims(session), *report.memory_rows(session),
            *router_report.aims(router)]
    for cell in session.results:
        rows += report.cell_rows(session, cell)
    for _, _, some in router_report.tables(router):
        rows += some
    assert len(rows) > 50
    lines = [(line.strip(),) for line in (*report.failed_lines(session),
                                          *router_report.failed_lines(router),
                                          *bench_report.complaint_lines(
                                              session))]
    for row in rows + lines:
        for word in filter(None, row):
            assert " ".join(word.split()) in words
    for title, bars in report.chart_groups(session):
        assert title in words and bars[0][0] in words
    for title, bars in router_report.chart_groups(router):
        assert not bars or title in words


def test_the_page_says_what_was_measured_and_escapes_it(once):
    page = once(failed=1).page
    for word in ("a &lt;processor&gt;", "4 GB", "6.1 &lt;k&gt;",
                 "abc&lt;1&gt;", "2.4 &lt;v&gt;", "&lt;said&gt;",
                 "&lt;gone&gt;"):
        assert word in page
    assert page.index("<h2>Aims") < page.index("<h2>Measured with") \
        < page.index("<h2>Sessions")
    assert os.uname().nodename not in page


def test_aims_that_were_missed_are_counted_and_marked(once):
    assert "Routing: 8 of 8 aims met, 0 missed" in once().page
    page = once(failed=1).page
    assert "Routing: 7 of 8 aims met, 1 missed" in page
    assert page.count('<td class="bad">MISSED: none</td>') == 1


def test_the_page_needs_no_script_and_no_other_address(once):
    once()
    page = once().page
    assert "<script" not in page and "javascript:" not in page
    assert set(re.findall(r"\w+://[^\"'<\s]*", page)) == {SVG}
    assert not re.search(r"\s(src|href|on\w+)=|@import|url\(|<link", page)


def test_a_history_shows_lines_and_names_slips(once):
    first = once()
    assert "No earlier run of this plan" in first.page
    assert "<polyline" not in first.page.split("<h2>Measured with")[0]
    second = once().page.split("<h2>Measured with")[0]
    assert "Nothing is worse" in second
    drawn = second.count("<polyline")
    assert drawn == sum(h.value is not None
                        for h in bench_report.headlines(*made_up())) > 8
    third = once(rate=600)
    assert "2 earlier runs of this plan" in third.page
    said = [word for word in words_of(third.page) if "its own past" in word]
    assert said == [
        "MISSED its own past: requests/s to stock's, 32 clients: 0.6, "
        "usually 0.98",
        "MISSED its own past: requests/s to stock's, most members: 0.6, "
        "usually 0.98"]
    assert said[0] in bench_report.text(third.found)


def test_the_page_fits_a_phone_and_a_dark_room(once, workdir):
    once()
    left = once(rate=600)
    browser = Browser(os.path.join(workdir, "browser")).start()
    try:
        for name, size in (("desktop", DESKTOP), ("phone", PHONE)):
            browser.size(size)
            browser.open("file://" + left.path)
            browser.screenshot(f"bench-{name}")
            assert browser.run("return document.documentElement.scrollWidth"
                               " <= window.innerWidth"), name
            assert browser.run("return window.innerWidth") == size[0]
            small = browser.run(
                "return Math.min(...[...document.querySelectorAll('svg text')]"
                ".map(e => e.getBoundingClientRect().height))")
            assert small >= 9, name
            over = browser.run(
                "return [...document.querySelectorAll('svg')].flatMap(s => ["
                "...s.querySelectorAll('text')].filter(t => "
                "t.getBoundingClientRect().right > "
                "s.getBoundingClientRect().right + 1 || "
                "t.getBoundingClientRect().left < "
                "s.getBoundingClientRect().left - 1)).map("
                "t => t.textContent)")
            assert over == [], name
        ground = "return getComputedStyle(document.body).backgroundColor"
        light = browser.run(ground)
        browser.command("POST", "/goog/cdp/execute", {
            "cmd": "Emulation.setEmulatedMedia", "params": {"features": [
                {"name": "prefers-color-scheme", "value": "dark"}]}})
        browser.screenshot("bench-phone-dark")
        assert browser.run(ground) != light
    finally:
        browser.stop()


# ---- history -----------------------------------------------------------------

ABOUT = {"date": "2026-01-02 03:04", "commit": "abc", "plan": "usual",
         "machine": "2 x \"a, b\", 4 GB"}


def ratios(**by_name):
    return [Headline(name, name, value, name.startswith("less"))
            for name, value in by_name.items()]


def test_a_history_grows_and_keeps_old_lines_when_columns_come(tmp_path):
    path = str(tmp_path / "history.csv")
    bench_history.add(path, ABOUT, ratios(one=1.5, two=None))
    with open(path, encoding="utf-8") as f:
        before = f.read().splitlines()
    bench_history.add(path, ABOUT, ratios(three=0.123449, one=2))
    with open(path, encoding="utf-8") as f:
        after = f.read().splitlines()
    assert before[0] == "date,commit,plan,machine,one,two"
    assert after[0] == before[0] + ",three"
    assert after[1] == before[1] and len(after) == 3
    columns, (first, second) = bench_history.read(path)
    assert columns[4:] == ["one", "two", "three"]
    assert first == dict(ABOUT, one=1.5, two=None, three=None)
    assert second == dict(ABOUT, one=2, two=None, three=0.1234)
    assert os.listdir(tmp_path) == ["history.csv"]


HEAD = "date,commit,plan,machine,one\n"
LINE = "2026-01-02 03:04,abc,usual,m,1.5\n"


@pytest.mark.parametrize("content, where", [
    ("", "1: empty"),
    (LINE, "1: does not begin with date"),
    (HEAD.strip() + ",one\n", "1: a column without a name of its own"),
    (HEAD + LINE + "<<<<<<< HEAD\n", "3: 1 fields"),
    (HEAD + LINE + "\n" + LINE, "3: 0 fields"),
    (HEAD + LINE.strip() + ",2\n", "2: 6 fields"),
    (HEAD + LINE.replace("abc", ""), "2: one of date"),
    (HEAD + LINE.replace("-01", "-13"), "2: '2026-13-02 03:04' is no date"),
    (HEAD + LINE + LINE.replace("1.5", "1.5x"), "3: one is '1.5x'"),
    (HEAD + LINE.replace("1.5", "nan"), "2: one is 'nan'"),
    (HEAD + LINE.replace("1.5", "-1"), "2: one is '-1'"),
    (HEAD + LINE.replace("abc", '"abc'), "2: unexpected end"),
    (HEAD + LINE + LINE[:-1], "3: breaks off"),
    (HEAD + LINE + "\udcff" + LINE, "3: no text"),
])
def test_a_damaged_history_is_refused_by_file_and_line(
        tmp_path, content, where, capsys, monkeypatch):
    path = tmp_path / "history.csv"
    path.write_text(content, errors="surrogateescape")
    before = path.read_bytes()
    with pytest.raises(bench_history.Damaged,
                       match=re.escape(f"{path}:{where}")):
        bench_history.add(str(path), ABOUT, ratios(one=1))
    assert path.read_bytes() == before
    # and before anything was measured
    monkeypatch.setattr(bench.session_bench, "bench", None)
    assert bench.main(["--history", str(path)]) == 1
    assert f"error: {path}:{where}" in capsys.readouterr().err


@pytest.mark.parametrize("earlier, last, slipped", [
    ([1.0, 1.2, 5.0], {"less": 1.3}, False),
    ([1.0, 1.2, 5.0], {"less": 1.33}, True),
    ([1.0, 1.2, 5.0], {"less": 0.1}, False),
    ([1.0, 1.2, 5.0], {"more": 1.1}, False),
    ([1.0, 1.2, 5.0], {"more": 1.07}, True),
    ([1.0, 1.2, 5.0], {"more": 9}, False),
    ([None, 1.2], {"more": 1}, True),
    ([None, None], {"more": 1}, False),
    ([], {"less": 9}, False),
    ([1.0], {"less": None}, False),
])
def test_a_slip_is_a_tenth_worse_than_the_median_before(tmp_path, earlier,
                                                        last, slipped):
    path = str(tmp_path / "history.csv")
    (name, value), = last.items()
    for past in earlier:
        bench_history.add(path, ABOUT, ratios(**{name: past}))
    # what is of another plan or machine says nothing
    for other in ({"plan": "quick"}, {"machine": "another"}):
        for past in (0.001, 1000, 1000, 0.001):
            bench_history.add(path, {**ABOUT, **other},
                              ratios(**{name: past}))
    bench_history.add(path, ABOUT, ratios(**{name: value}))
    found = bench_history.slips(bench_history.read(path)[1],
                                ratios(**{name: value}))
    assert [h.name for h, _, _ in found] == [name] * slipped


# ---- what it asks others -----------------------------------------------------

def test_names_of_columns_are_each_their_own():
    names = [h.name for h in bench_report.headlines(*made_up())]
    assert len(names) == len(set(names)) > 10
    assert all(re.fullmatch(r"(session|router)_[a-z0-9_]+", n)
               for n in names)


def test_servers_are_asked_for_their_versions():
    said = dict(versions.versions())
    for name in ("httpd", "memcached", "libmemcached"):
        assert re.match(r"\d+\.\d+", said[name]), said
    assert versions.ask(("no-such-program", "-v"), "(.)") == "not found"
