# SPDX-License-Identifier: Apache-2.0
"""Clones that cannot be reached, and what becomes of their requests."""

import concurrent.futures
import hashlib
import os
import subprocess

import pytest

from process import wait_until
from router import (OWN, BlackHole, Manager, allow_dead, allow_nobody, cookie,
                    served, shop, shown)

BODIES = [("GET", 0, False), ("POST", 1000, False), ("POST", 100_000, False),
          ("POST", 1000, True), ("POST", 100_000, True)]


def send(server, method, size, chunked, **kw):
    """A request whose body nothing can guess; returns answer and hash."""
    body = os.urandom(size) if size else None
    answer = server.request(method, "/order", body=body, chunked=chunked, **kw)
    return answer, hashlib.sha256(body or b"").hexdigest()


def arrived_whole(answer, size, sha):
    return (answer.json["body_len"], answer.json["body_sha"]) == (size, sha)


@pytest.mark.every_mpm
def test_a_refused_request_goes_to_the_next_clone_with_its_body(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, members="retry=0"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    for method, size, chunked in BODIES:
        answer, sha = send(server, method, size, chunked,
                           headers=cookie("A", "C"))
        assert served(answer) == ("C", "next"), (method, size, chunked)
        assert arrived_whole(answer, size, sha), (method, size, chunked)
    assert three["A"].requests == [] and three["B"].requests == []
    assert len(three["C"].requests) == len(BODIES)


def test_a_host_without_an_address_fails_over_like_a_dead_one(httpd, clones):
    three = clones("A", "B")
    text = shop(three).replace("http://127.0.0.1:", "http://nowhere.invalid:",
                               1)
    server = httpd(text, own=OWN)
    allow_dead(server)
    server.log.allow("AH00898: DNS lookup failure")
    for method, size, chunked in BODIES:
        answer, sha = send(server, method, size, chunked, headers=cookie("A"))
        assert served(answer) == ("B", "failover"), (method, size, chunked)
        assert arrived_whole(answer, size, sha), (method, size, chunked)
    assert [served(server.get("/"))[0] for _ in range(4)] == ["B"] * 4


def test_a_connect_time_out_goes_to_the_next_clone_with_its_body(httpd,
                                                                 clones):
    three = clones("B", "C")
    three["X"] = BlackHole()
    server = httpd(shop(three, members={
        "X": "connectiontimeout=300ms retry=0"}), own=OWN)
    allow_dead(server)
    for method, size, chunked in BODIES:
        answer, sha = send(server, method, size, chunked,
                           headers=cookie("X", "C"))
        assert served(answer) == ("C", "next"), (method, size, chunked)
        assert arrived_whole(answer, size, sha), (method, size, chunked)
    assert "timeout" in server.log.expect("AH00957")
    assert all(int(line["usec"]) >= 250_000 for line in server.access)
    three["X"].close()


def test_a_dead_member_is_asked_once_a_request_although_retry_is_0(httpd,
                                                                   clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, members="retry=0"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    three["B"].kill9()
    for n in range(5):
        assert served(server.get("/", headers=cookie("A", "B"))) == (
            "C", "failover")
    refused = [l for l in server.log.lines("error") if "AH00957" in l]
    assert len(refused) == 10


def test_retry_0_serves_new_visitors_too(httpd, clones):
    # A is so heavy that byrequests offers it again and again
    three = clones("A", "B", "C")
    server = httpd(shop(three, members={
        "A": "loadfactor=100 retry=0", "B": "retry=0", "C": "retry=0"}),
        own=OWN)
    allow_dead(server)
    three["A"].kill9()
    three["B"].kill9()
    assert [served(server.get("/")) for _ in range(6)] == [("C", "new")] * 6


def test_retry_0_serves_all_although_others_retry_at_the_same_time(httpd,
                                                                   clones):
    # each retry takes away the mark that mod_proxy's own loop looks for
    # a fast B, a dead A
    two = clones("A", "B")
    fast = httpd(own=())
    fast.file("home", "x")
    server = httpd(shop(two, members="retry=0").replace(
        two["B"].url, fast.url), own=OWN, loglevel="crit")
    for one in (fast, server):
        one.log.allow("MaxRequestWorkers")
    two["A"].kill9()
    done = subprocess.run(
        ["ab", "-q", "-k", "-n", "20000", "-c", "32", "-H",
         "Cookie: JSESSIONID=0000s:A", server.url + "/home"],
        stdout=subprocess.PIPE, text=True, check=True)
    assert "Complete requests:      20000" in done.stdout
    assert "Non-2xx responses" not in done.stdout, done.stdout


def test_members_that_ignore_errors_fail_over_too(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, members="status=+I"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    for method, size, chunked in BODIES:
        answer, sha = send(server, method, size, chunked,
                           headers=cookie("A", "C"))
        assert served(answer) == ("C", "next")
        assert arrived_whole(answer, size, sha)
    assert "Err" not in Manager(server).members()["A"]["status"]


@pytest.mark.parametrize("attempts, status", [(0, 503), (1, 503), (2, 200)])
def test_maxattempts_counts_the_further_attempts(httpd, clones, attempts,
                                                 status):
    three = clones("A", "B", "C")
    server = httpd(shop(three, options=f"maxattempts={attempts}"), own=OWN)
    allow_nobody(server)
    three["A"].kill9()
    three["B"].kill9()
    answer = server.get("/", headers=cookie("A", "B", "C"))
    assert answer.status == status
    refused = [l for l in server.log.lines("error") if "AH00957" in l]
    assert len(refused) == min(attempts + 1, 2)
    assert len(three["C"].requests) == (status == 200)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_a_stand_in_has_answered_is_not_asked_of_a_third(httpd, clones,
                                                              method):
    three = clones("A", "B", "C")
    server = httpd(shop(three, before="ProxyErrorOverride On 503\n"
                        "ErrorDocument 503 sorry\n"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    three["B"].behave("status 503")
    answer = server.request(method, "/", headers=cookie("A", "B", "C"))
    assert (answer.status, answer.body) == (503, b"sorry")
    assert len(three["B"].requests) == 1 and three["C"].requests == []
    assert "Err" not in Manager(server).members()["B"]["status"]


@pytest.mark.parametrize("dead", [(), ("A",)])
def test_a_ping_that_fails_goes_on_with_the_body(httpd, clones, dead):
    three = clones("A", "B", "C")
    server = httpd(shop(three, members="ping=500ms"), own=OWN)
    allow_dead(server)
    for tag in ("AH01102", "AH00898"):
        server.log.allow(tag)
    for clone_id in dead:
        three[clone_id].kill9()
    frozen = three["B" if dead else "A"]
    frozen.freeze()
    answer, sha = send(server, "POST", 100_000, False,
                       headers=cookie("A", "B", "C") if dead
                       else cookie("A", "C"))
    assert served(answer) == ("C", "next")
    assert arrived_whole(answer, 100_000, sha)
    server.log.expect("AH00898")
    frozen.thaw()


def test_failonstatus_marks_the_member_that_answered(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, options="failonstatus=503"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    three["B"].behave("status 503")
    assert server.get("/", headers=cookie("A", "B")).status == 503
    server.log.expect("AH01174")
    assert "Err" in Manager(server).members()["B"]["status"]
    assert served(server.get("/", headers=cookie("A", "B")))[0] == "C"


@pytest.mark.parametrize("profile, sep", [
    ("websphere", ":"), ("tomcat", "."), ("wildfly", "."), ("weblogic", "!")])
def test_a_dead_clone_s_session_does_not_bounce(httpd, clones, profile, sep):
    three = clones("A", "B", "C")
    server = httpd(shop(three, f"ProxyCloneRouting On\n"
                        f"ProxyCloneProfile {profile}"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    homes = set()
    for n in range(12):
        sent = cookie("A", session=f"user{n}", sep=sep)
        got = {served(server.get("/", headers=sent)) for _ in range(4)}
        assert len(got) == 1, got
        homes |= got
    assert homes == {("B", "failover"), ("C", "failover")}


def test_two_routers_choose_the_same_stand_in(httpd, clones):
    four = clones("A", "B", "C", "D")
    turned = dict(reversed(list(four.items())))
    routers = [httpd(shop(c), own=OWN) for c in (four, turned)]
    four["A"].kill9()
    for server in routers:
        allow_dead(server)
    for n in range(30):
        sent = cookie("A", session=f"user{n}")
        first, second = [served(r.get("/", headers=sent)) for r in routers]
        assert first == second
    assert {line["route"] for line in routers[0].access} == {"B", "C", "D"}


def test_a_session_goes_home_when_its_clone_returns(httpd, clones, jar):
    three = clones("A", "B", "C")
    server = httpd(shop(three, members="retry=1"), own=OWN)
    allow_dead(server)
    home = server.get("/", jar=jar).json["clone"]
    three[home].kill9()
    away = server.get("/", jar=jar)
    assert shown(away)["reason"] == "failover"
    assert shown(away)["changed"] == "1"
    assert jar["JSESSIONID"].endswith(f":{home}:{away.json['clone']}")
    assert served(server.get("/", jar=jar)) == (away.json["clone"], "next")
    three[home].start()
    wait_until(lambda: server.get("/", jar=jar).json["clone"] == home, 10,
               f"return to {home}")
    back = shown(server.get("/", jar=jar))
    assert (back["reason"], back["changed"]) == ("first", None)


def test_a_clone_in_error_is_not_asked_before_its_retry_time(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, "ProxyCloneRouting On\nProxyCloneFailures 1",
                        members="retry=60"), own=OWN)
    allow_dead(server)
    three["A"].kill9()
    for _ in range(3):
        assert served(server.get("/", headers=cookie("A", "C"))) == (
            "C", "next")
    assert len([l for l in server.log.lines("error") if "AH00957" in l]) == 1
    three["A"].start()
    assert served(server.get("/", headers=cookie("A", "C"))) == ("C", "next")
    assert "Err" in Manager(server).members()["A"]["status"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_when_all_are_dead_the_client_is_told(httpd, clones, method):
    three = clones("A", "B", "C")
    server = httpd(shop(three), own=OWN)
    allow_nobody(server)
    for clone in three.values():
        clone.kill9()
    with server.client() as c:
        for _ in range(3):
            answer = c.request(method, "/", headers=cookie("A", "B"))
            assert answer.status == 503
    three["B"].start()
    assert served(server.get("/", headers=cookie("A", "B")))[0] == "B"


def test_an_answer_of_503_goes_to_the_client_and_marks_nobody(httpd, clones):
    three = clones("A", "B")
    server = httpd(shop(three, before="ProxyErrorOverride On 503\n"
                        "ErrorDocument 503 sorry\n"), own=OWN)
    three["A"].behave("status 503")
    answer = server.get("/", headers=cookie("A"))
    assert (answer.status, answer.body) == (503, b"sorry")
    assert "Err" not in Manager(server).members()["A"]["status"]
    assert three["B"].requests == []


def test_counters_tell_the_truth_and_busy_returns_to_0(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three), own=OWN)
    allow_dead(server)
    page = Manager(server)
    for _ in range(5):
        server.get("/", headers=cookie("A"))
    for _ in range(3):
        server.get("/", headers=cookie("X", "B"))
    got = {k: v["elected"] for k, v in page.members().items()}
    assert got == {"A": 5, "B": 3, "C": 0}
    three["C"].behave("hang")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(server.get, "/", headers=cookie("C"))
                   for _ in range(4)]
        wait_until(lambda: page.members()["C"]["busy"] == 4, 5, "busy 4")
        three["C"].behave("normal")
        assert [served(f.result())[0] for f in waiting] == ["C"] * 4
    three["A"].kill9()
    server.get("/", headers=cookie("A", "B"))
    wait_until(lambda: all(m["busy"] == 0 for m in page.members().values()),
               5, "busy 0")
    got = {k: v["elected"] for k, v in page.members().items()}
    assert got == {"A": 6, "B": 4, "C": 4}


def test_sessions_count_for_the_method_under_the_router(httpd, clones):
    two = clones("A", "B")
    server = httpd(shop(two), own=OWN)
    for _ in range(3):
        server.get("/", headers=cookie("A"))
    assert [served(server.get("/"))[0] for _ in range(3)] == ["B"] * 3


def test_an_internal_redirect_is_routed_anew(httpd, clones):
    two = clones("A", "B")
    other = shop({"B": two["B"]}, name="other").replace(
        "ProxyPass / ", "ProxyPass /other/ ")
    server = httpd(other + "ErrorDocument 404 /other/sorry\n"
                   "ProxyErrorOverride On 404\n"
                   + shop({"A": two["A"]}), own=OWN)
    two["A"].behave("status 404")
    answer = server.get("/missing", headers=cookie("A"))
    assert (answer.status, answer.json["clone"]) == (404, "B")
    assert shown(answer)["name"] == "balancer://other"
    assert shown(answer)["reason"] == "unknown"
    assert [r["path"] for r in two["A"].requests] == ["/missing"]
    assert [r["path"] for r in two["B"].requests] == ["/sorry"]


def test_who_failed_is_marked_and_not_who_was_asked_first(httpd, clones):
    """A is dead, B takes the request and dies over it; A is back by then."""
    two = clones("A", "B")
    server = httpd(shop(two, "ProxyCloneRouting On\nProxyCloneFailures 1",
                        members="retry=1"), own=OWN)
    allow_nobody(server)
    server.log.allow("AH")
    page = Manager(server)
    two["A"].kill9()
    two["B"].behave("delay 20")
    with server.client() as client, \
            concurrent.futures.ThreadPoolExecutor(1) as pool:
        client.request("GET", "/manager")
        waiting = pool.submit(client.request, "GET", "/",
                              headers=cookie("A"))
        wait_until(lambda: two["B"].requests, 5, "B has the request")
        two["B"].behave("normal")
        two["A"].start()
        wait_until(lambda: served(server.get("/", headers=cookie("A")))[0]
                   == "A", 10, "A serves again")
        two["B"].kill9()
        waiting.exception(timeout=10)
    status = {name: m["status"] for name, m in page.members().items()}
    assert "Err" not in status["A"] and "Err" in status["B"], status
