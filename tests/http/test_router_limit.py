# SPDX-License-Identifier: Apache-2.0
"""Members that get so many requests at a time: who waits, who goes elsewhere,
who is told to come again."""

import concurrent.futures
import http.client
import os
import signal
import time

import pytest

from admin import ADMIN, Admin
from plugin_cfg import PluginFile, simple
from process import is_alive, wait_until
from router import OWN, Manager, allow_dead, cookie, served, shop

TELL = ('Header always set X-Decision "%{CLONE_DECISION}e"\n'
        'Header always set X-Waited "%{CLONE_WAITED}e"\n')
# prefork has a process for each request, the others threads in one
ROOM = ("<IfModule mpm_prefork_module>\nStartServers 12\n"
        "MaxRequestWorkers 40\n</IfModule>\n"
        "<IfModule !mpm_prefork_module>\nServerLimit 1\nStartServers 1\n"
        "ThreadsPerChild 40\nMaxRequestWorkers 40\nMinSpareThreads 1\n"
        "</IfModule>\n")
STATUS = ("<Location /status>\nSetHandler server-status\n</Location>\n"
          "ProxyPass /status !\n")


@pytest.fixture
def make(httpd, clones):
    def factory(limit, before="", ids="ABC", room=ROOM, inside="",
                members=""):
        three = clones(*ids)
        server = httpd(shop(three, f"ProxyCloneRouting On\n{limit}\n"
                            + inside, before=ADMIN + TELL + STATUS + room
                            + before, members=members), own=OWN)
        server.clones = three
        server.page = Manager(server)
        server.admin = Admin(server)
        server.log.allow("CR0250")
        return server
    return factory


@pytest.fixture
def ask():
    """ask(site, headers): a request in a thread of its own; its answer, or
    what became of it, comes with result()."""
    pool = concurrent.futures.ThreadPoolExecutor(40)

    def begin(site, headers=None, path="/"):
        def get():
            try:
                return site.get(path, headers=headers)
            except (OSError, http.client.HTTPException) as e:
                return e
        return pool.submit(get)

    yield begin
    pool.shutdown(wait=True)


def fill(site, ask, clone_id, count, path="/"):
    """So many requests that stay at a clone until it behaves again."""
    before = len(site.clones[clone_id].requests)
    site.clones[clone_id].behave("hang")
    asked = [ask(site, cookie(clone_id, session=f"full{n}"), path)
             for n in range(count)]
    site.admin.until(clone_id, in_flight=count)
    wait_until(lambda: len(site.clones[clone_id].requests) == before + count,
               10, "requests at the clone")
    return asked


def kill_children(site, lost):
    """With these requests in them."""
    dead = site.children()
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    for one in lost:
        one.result()
    wait_until(lambda: not any(map(is_alive, dead)), 10, "end of children")


def status(site):
    lines = site.get("/status?auto").text.split("\n")
    return {line.split(": ")[0][len("ProxyCloneLimit"):]:
            int(line.split(": ")[1])
            for line in lines if line.startswith("ProxyCloneLimit")}


@pytest.mark.every_mpm
def test_a_session_waits_for_its_full_member(make, ask):
    site = make("ProxyCloneMaxInFlight 2 queue=5 wait=20s")
    first = fill(site, ask, "A", 2)
    waiting = [ask(site, cookie("A", session=f"w{n}")) for n in range(3)]
    site.admin.until("A", waiting=3, in_flight=2)
    assert len(site.clones["A"].requests) == 2
    site.clones["A"].behave("normal")
    for answer in [one.result() for one in first + waiting]:
        assert served(answer) == ("A", "first")
    assert int(waiting[0].result().header("X-Waited")) > 0
    assert first[0].result().header("X-Waited") == "(null)"
    said = site.admin.until("A", waiting=0, in_flight=0)
    assert (said["waited"], said["refused"], said["expired"]) == (3, 0, 0)
    assert said["max_in_flight"] == 2
    assert status(site) == {"Waited": 3, "Refused": 0, "Expired": 0,
                            "Passed": 0}


@pytest.mark.every_mpm
def test_never_more_than_the_limit_under_load(make, ask):
    site = make("ProxyCloneMaxInFlight 3 queue=40 wait=30s", ids="A")
    site.clones["A"].behave("delay 0.05")
    asked = [ask(site, cookie("A", session=f"s{n}")) for n in range(60)]
    most = 0
    while not all(one.done() for one in asked):
        most = max(most, site.admin.member("A")["in_flight"])
    assert all(served(one.result()) == ("A", "first") for one in asked)
    assert most <= 3
    # the member saw it so, too: three at a time take so long at least
    times = sorted(r["time"] for r in site.clones["A"].requests)
    assert all(later - one > 0.045 for one, later in zip(times, times[3:]))
    site.admin.until("A", in_flight=0, waiting=0)


def test_a_full_queue_is_a_503_that_keeps_member_and_session(make, ask):
    site = make("ProxyCloneMaxInFlight 1 queue=1 wait=20s")
    first = fill(site, ask, "A", 1)
    waiting = ask(site, cookie("A", session="w"))
    site.admin.until("A", waiting=1)
    for n in range(5):
        answer = site.get("/", headers=cookie("A", session=f"late{n}"))
        assert answer.status == 503
        assert int(answer.header("Retry-After")) >= 1
        assert answer.header("Set-Cookie") is None
        assert "members=A!l,B,C" in answer.header("X-Decision")
        assert ";tried=A:full:" in answer.header("X-Decision")
        assert site.page.members()["A"]["status"] == "Init Ok"
    site.log.expect("CR0250")
    said = site.admin.member("A")
    assert (said["refused"], said["expired"], said["state"]) == (5, 0, "up")
    site.clones["A"].behave("normal")
    assert served(first[0].result())[0] == served(waiting.result())[0] == "A"
    assert served(site.get("/", headers=cookie("A", session="late0"))) \
        == ("A", "first")
    # nobody else has got any of it
    assert not site.clones["B"].requests and not site.clones["C"].requests
    assert site.log.text.count("CR0250") == 1


@pytest.mark.parametrize("limit, more, least, most", [
    ("ProxyCloneMaxInFlight 1 queue=9 wait=700ms", "", 0.7, 3),
    # the request's own deadline is sooner
    ("ProxyCloneMaxInFlight 1 queue=9 wait=1m", "ProxyCloneDeadline 600ms\n",
     0.3, 3),
    ("ProxyCloneMaxInFlight 1 queue=9 wait=0", "", 0, 0.6),
    ("ProxyCloneMaxInFlight 1 queue=0", "", 0, 0.6),
])
def test_who_waits_in_vain_is_told_so_in_time(make, ask, limit, more, least,
                                              most):
    site = make(limit, inside=more)
    first = fill(site, ask, "A", 1)
    answer = site.get("/", headers=cookie("A"))
    assert answer.status == 503 and answer.header("Retry-After")
    spent = int(answer.header("X-Decision").rsplit(":", 1)[1]) / 1000
    assert least <= spent + 0.05 and spent < most
    said = site.admin.member("A")
    assert said["expired" if "queue=9" in limit else "refused"] == 1
    assert said["state"] == "up"
    site.clones["A"].behave("normal")
    assert served(first[0].result())[0] == "A"


def test_new_visitors_go_where_there_is_room_at_once(make, ask):
    site = make("ProxyCloneMaxInFlight 1 queue=9 wait=20s")
    fill(site, ask, "A", 1)
    fill_b = fill(site, ask, "B", 1)
    for _ in range(6):
        answer = site.get("/")
        assert served(answer) == ("C", "new")
        assert answer.header("X-Waited") == "(null)"
    said = site.admin.member("A"), site.admin.member("B")
    assert said[0]["passed"] + said[1]["passed"] >= 3
    assert said[0]["waited"] == said[1]["waited"] == 0
    # all are full: a new one waits for whom it may have
    fill(site, ask, "C", 1)
    waiting = ask(site)
    wait_until(lambda: sum(site.admin.member(i)["waiting"] for i in "ABC"),
               10, "somebody who waits")
    site.clones["B"].behave("normal")
    assert served(waiting.result()) == ("B", "new")
    assert served(fill_b[0].result())[0] == "B"
    for clone in site.clones.values():
        clone.behave("normal")


def test_a_stand_in_that_is_full_is_waited_for_and_stays_the_same(make, ask):
    site = make("ProxyCloneMaxInFlight 1 queue=9 wait=20s")
    allow_dead(site)
    site.log.allow("AH")
    site.clones["A"].kill9()
    stand_in, reason = served(site.get("/", headers=cookie("A", session="x")))
    assert reason == "failover"
    first = fill(site, ask, stand_in, 1)
    waiting = ask(site, cookie("A", session="x"))
    site.admin.until(stand_in, waiting=1)
    site.clones[stand_in].behave("normal")
    assert served(waiting.result())[0] == stand_in
    assert served(first[0].result())[0] == stand_in


def test_who_waits_for_a_member_that_goes_goes_elsewhere(make, ask):
    site = make("ProxyCloneMaxInFlight 1 queue=9 wait=20s")
    first = fill(site, ask, "A", 1)
    waiting = ask(site, cookie("A", "C", session="w"))
    site.admin.until("A", waiting=1)
    site.admin.do("stop", "A")
    assert served(waiting.result()) == ("C", "next")
    site.clones["A"].behave("normal")
    assert served(first[0].result())[0] == "A"


@pytest.mark.every_mpm
def test_a_killed_child_gives_its_places_back(make, ask):
    site = make("ProxyCloneMaxInFlight 2 queue=2 wait=30s",
                room="<IfModule !mpm_prefork_module>\nServerLimit 2\n"
                     "StartServers 2\nThreadsPerChild 20\n"
                     "MaxRequestWorkers 40\nMinSpareThreads 1\n</IfModule>\n")
    site.log.allow(r"AH00051|AH00052|AH10291")
    lost = fill(site, ask, "A", 2)
    lost += [ask(site, cookie("A", session=f"w{n}")) for n in range(2)]
    site.admin.until("A", waiting=2)
    assert site.get("/", headers=cookie("A")).status == 503
    kill_children(site, lost)
    site.clones["A"].behave("normal")
    wait_until(lambda: site.children(), 10, "new children")
    # as many as may be at once, and as many as may wait: all places are free
    site.admin.until("A", in_flight=0, waiting=0)
    asked = fill(site, ask, "A", 2)
    asked += [ask(site, cookie("A", session=f"v{n}")) for n in range(2)]
    site.admin.until("A", in_flight=2, waiting=2)
    assert site.get("/", headers=cookie("A")).status == 503
    site.clones["A"].behave("normal")
    for one in asked:
        assert served(one.result()) == ("A", "first")


def test_a_killed_childs_places_are_free_for_the_first_who_comes(make, ask):
    site = make("ProxyCloneMaxInFlight 2 queue=0")
    site.log.allow(r"AH00051|AH00052|AH10291")
    lost = fill(site, ask, "A", 2)
    assert site.get("/", headers=cookie("A")).status == 503
    kill_children(site, lost)
    site.clones["A"].behave("normal")
    wait_until(lambda: site.children(), 10, "new children")
    # nobody has looked at the counts since
    assert served(site.get("/", headers=cookie("A"))) == ("A", "first")


def test_a_failed_attempt_gives_its_place_back(make, ask):
    site = make("ProxyCloneMaxInFlight 1 queue=9 wait=20s")
    allow_dead(site)
    site.log.allow("AH")
    site.log.allow("CR0220")
    path = "/mode/A/close/x"
    for n in range(3):
        answer = site.get(path, headers=cookie("A", "B", session=f"s{n}"))
        assert served(answer) == ("B", "next")
        for i in "ABC":
            site.admin.until(i, in_flight=0)
    # an answer that breaks off, and one that is an error
    for mode in ("half", "busy"):
        try:
            site.get(f"/mode/B/{mode}/x", headers=cookie("B"))
        except (OSError, http.client.HTTPException):
            assert mode == "half"
        site.admin.until("B", in_flight=0)
    assert served(site.get("/", headers=cookie("B")))[0] == "B"


def test_one_balancer_may_say_off_and_the_metrics_say_all(make, ask):
    site = make("ProxyCloneMaxInFlight Off",
                before="ProxyCloneMaxInFlight 1 queue=0\n")
    asked = fill(site, ask, "A", 4)
    said = site.admin.member("A")
    assert (said["max_in_flight"], said["waited"]) == (None, 0)
    text = site.admin.get("?format=prometheus").text
    for name, kind in (("max_in_flight", "gauge"), ("waiting", "gauge"),
                       ("waited_total", "counter"),
                       ("refused_total", "counter"),
                       ("expired_total", "counter"),
                       ("passed_total", "counter")):
        assert f"# TYPE proxy_clone_{name} {kind}\n" in text
        assert f'proxy_clone_{name}{{balancer="shop",member="A"}} 0' in text
    site.clones["A"].behave("normal")
    for one in asked:
        assert served(one.result())[0] == "A"


def test_maxconnections_of_plugin_cfg_is_a_limit_of_its_server(httpd, clones,
                                                               ask, workdir):
    three = clones("A", "B", "C")
    file = PluginFile(workdir, simple(three, limits={"A": 1, "B": 0},
                                      every=1))
    plain = ADMIN + ROOM + TELL + "ProxyCloneMaxInFlight 4 queue=0\n" \
        + file.directive
    site = httpd(plain, own=OWN)
    site.log.allow("CR0250")
    site.clones, site.admin = three, Admin(site)
    assert [site.admin.member(i)["max_in_flight"] for i in "ABC"] == [1, 4, 4]

    def at_once(clone_id, count):
        asked = fill(site, ask, clone_id, count, "/shop/x")
        assert site.get("/shop/x", headers=cookie(clone_id)).status == 503
        three[clone_id].behave("normal")
        assert all(one.result().json["clone"] == clone_id for one in asked)

    at_once("A", 1)
    at_once("B", 4)
    # another number holds at once, without a restart
    file.change(site, simple(three, limits={"A": 2}, every=1))
    at_once("A", 2)
    # a balancer's own directive wins
    site.stop()
    site.conf = plain + ("<Proxy balancer://shop>\nProxyCloneMaxInFlight 3 "
                         "queue=0\n</Proxy>\n")
    site.start()
    assert [site.admin.member(i)["max_in_flight"] for i in "ABC"] == [3, 3, 3]
    at_once("A", 3)


# ---- slow start --------------------------------------------------------------

def visitors(site, count):
    """How many of so many new ones each clone got."""
    got = dict.fromkeys(site.clones, 0)
    for _ in range(count):
        clone_id, reason = served(site.get("/"))
        assert reason == "new"
        got[clone_id] += 1
    return got


def away_and_back(site, clone_id):
    site.admin.do("drain", clone_id)
    assert visitors(site, 3)[clone_id] == 0
    site.admin.do("undrain", clone_id)


@pytest.mark.every_mpm
def test_a_member_that_is_back_gets_few_new_sessions_and_all_its_own(make):
    site = make("ProxyCloneSlowStart 1h\nProxyCloneFailures 1", room="",
                members="retry=1")
    allow_dead(site)
    site.log.allow("AH")
    site.log.allow("CR022")
    # at first all are new, and share as ever
    assert min(visitors(site, 30).values()) >= 5
    site.clones["A"].kill9()
    wait_until(lambda: visitors(site, 3)
               and site.admin.member("A")["state"] == "down", 10, "A down")
    site.clones["A"].start()
    wait_until(lambda: served(site.get("/", headers=cookie("A")))[0] == "A",
               10, "A back")
    got = visitors(site, 60)
    assert got["A"] <= 10 and min(got["B"], got["C"]) >= 15, got
    assert site.admin.member("A")["slow_start_share"] < 0.1
    for n in range(20):
        assert served(site.get("/", headers=cookie("A", session=f"s{n}"))) \
            == ("A", "first")


def test_a_share_grows_until_it_is_whole(make):
    site = make("ProxyCloneSlowStart 2s", room="")
    visitors(site, 3)
    site.admin.until("B", slow_start_share=1.0)
    away_and_back(site, "A")
    visitors(site, 3)
    assert site.admin.member("B")["slow_start_share"] == 1.0
    shares = []

    def look():
        shares.append(site.admin.member("A")["slow_start_share"])
        return shares[-1] == 1.0

    wait_until(look, 10, "the whole share")
    assert shares == sorted(shares) and shares[0] < 0.9
    got = visitors(site, 60)
    assert min(got.values()) >= 15, got


def test_a_member_that_is_added_starts_slowly(make):
    site = make("ProxyCloneSlowStart 1h", room="")
    whole = site.conf
    line = site.clones["C"].member()
    site.stop()
    site.conf = whole.replace(line, "")
    site.start()
    visitors(site, 3)
    time.sleep(1.2)         # later than all that were there at first
    site.graceful(whole)
    wait_until(lambda: site.admin.get("?balancer=shop&member=C").status == 200,
               10, "C in the balancer")
    got = visitors(site, 40)
    assert got["C"] <= 8 and min(got["A"], got["B"]) >= 12, got


# By weight, it is always A that a new visitor is for.
HEAVY_A = {"A": "loadfactor=100", "B": "loadfactor=1 retry=3600",
           "C": "loadfactor=1"}


def test_a_member_that_is_back_takes_what_no_other_has_room_for(make, ask):
    site = make("ProxyCloneSlowStart 1h\nProxyCloneMaxInFlight 2 queue=0",
                ids="AC", members={i: HEAVY_A[i] for i in "AC"})
    away_and_back(site, "C")
    visitors(site, 3)
    assert site.admin.member("C")["slow_start_share"] < 0.1
    fill(site, ask, "A", 2)
    for _ in range(10):
        assert served(site.get("/")) == ("C", "new")
    site.clones["A"].behave("normal")


def test_a_member_that_is_back_is_asked_before_one_that_is_down(make):
    site = make("ProxyCloneSlowStart 1h", room="", members=HEAVY_A)
    allow_dead(site)
    site.log.allow("AH")
    site.log.allow("CR022")
    away_and_back(site, "C")
    site.clones["B"].kill9()
    wait_until(lambda: site.get("/", headers=cookie("B")).status == 200
               and site.admin.member("B")["state"] == "down", 10, "B down")
    answer = site.get("/mode/A/close/x")
    assert served(answer) == ("C", "new")
    tried = answer.header("X-Decision").split(";tried=")[1].split(",")
    # A twice: once more by a fresh connection
    assert [attempt.split(":")[0] for attempt in tried] == ["A", "A", "C"]


def test_stand_ins_are_the_same_with_and_without_a_slow_start(httpd, clones,
                                                              make):
    site = make("ProxyCloneSlowStart 1h", room="")
    other = httpd(shop(site.clones), own=OWN)
    away_and_back(site, "A")
    visitors(site, 3)
    assert site.admin.member("A")["slow_start_share"] < 0.1
    site.clones["B"].kill9()
    for server in (site, other):
        allow_dead(server)
        server.log.allow("AH")
    stand_ins = []
    for n in range(40):
        headers = cookie("B", session=f"s{n}")
        stand_ins.append(served(site.get("/", headers=headers))[0])
        assert served(other.get("/", headers=headers))[0] == stand_ins[-1]
    assert 8 <= stand_ins.count("A") <= 32
