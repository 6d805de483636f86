# SPDX-License-Identifier: Apache-2.0
"""Requests that are sent again, or not, and members that are down, or not.
What each failure looks like to a client is in test_router_matrix.py."""

import concurrent.futures
import hashlib
import os

import pytest

from process import wait_until
from router import (OWN, Manager, allow_nobody, cookie, served,
                    shop, shown)

ONE_CHILD = "ServerLimit 1\nStartServers 1\nMaxRequestWorkers 25\n"


def at(*modes):
    """A path at which clones behave: at("A close", "B hang")."""
    words = [mode.split() for mode in modes]
    return "".join(f"/mode/{clone}/{mode}" for clone, mode in words) + "/x"


def start(httpd, clones, inside="", before="", **kw):
    three = clones("A", "B", "C")
    server = httpd(shop(three, f"ProxyCloneRouting On\n{inside}",
                        before=ONE_CHILD + before, **kw), own=OWN)
    allow_nobody(server)
    server.log.allow("AH")          # mod_proxy has a word for each failure
    return server, three


def counts(three):
    return {i: len(c.requests) for i, c in three.items()}


def err(server):
    return {route for route, row in Manager(server).members().items()
            if "Err" in row["status"]}


# ---- sent again

def test_a_request_that_kills_servers_reaches_two_and_downs_nobody(httpd,
                                                                   clones):
    server, three = start(httpd, clones)
    poison = at("A close", "B close", "C close")
    with server.client() as client:
        for n in range(5):
            before = sum(counts(three).values())
            answer = client.get(poison, headers=cookie("A", "B"))
            assert answer.status == 502
            assert sum(counts(three).values()) - before <= 3
            assert counts(three)["C"] == 0
    assert err(server) == set()
    assert served(server.get("/", headers=cookie("A")))[0] == "A"


@pytest.mark.parametrize("inside, headers, status", [
    ("", {}, 502),
    ("", {"Idempotency-Key": "k1"}, 200),
    ("ProxyCloneReplay always", {}, 200),
    ("ProxyCloneReplay never", {"Idempotency-Key": "k1"}, 502),
])
def test_a_post_is_sent_again_if_somebody_says_so(httpd, clones, inside,
                                                  headers, status):
    server, three = start(httpd, clones, inside)
    body = os.urandom(50_000)
    answer = server.post(at("A reset"), body=body,
                         headers={**cookie("A", "B"), **headers})
    assert answer.status == status
    if status == 200:
        assert answer.json["body_sha"] == hashlib.sha256(body).hexdigest()
    # on a connection of unknown age, A may be asked once more
    assert counts(three)["A"] == 1
    assert counts(three)["B"] == (status == 200)


def test_never_is_never_for_a_get_too(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneReplay never")
    assert server.get(at("A reset"), headers=cookie("A", "B")).status == 502
    assert counts(three) == {"A": 1, "B": 0, "C": 0}


def test_twice_again_if_so_many_are_allowed(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneReplay idempotent 2")
    answer = server.get(at("A close", "B close"), headers=cookie("A", "B"))
    assert served(answer)[0] == "C"


BODIES = [  # memory, file, chunked: 100 kB is sent again
    (0, 200_000, False, True), (1000, 200_000, True, True),
    (200_000, 200_000, True, True), (1000, 99_999, False, False),
    (1000, 99_999, True, False), (200_000, 50_000, True, False),
    (1000, 0, False, False), (1000, 100_000, True, True),
]


@pytest.mark.parametrize("memory, file, chunked, is_sent_again", BODIES)
def test_a_body_is_sent_again_if_it_is_held(httpd, clones, memory, file,
                                            chunked, is_sent_again):
    server, three = start(httpd, clones, f"ProxyCloneBodyMemory {memory}\n"
                          f"ProxyCloneBodyFile {file}")
    body = os.urandom(100_000)
    sha = hashlib.sha256(body).hexdigest()

    def put(path):
        return server.request("PUT", path, body=body, chunked=chunked,
                              headers=cookie("A", "B"))

    answer = put(at("A reset"))
    assert answer.status == (200 if is_sent_again else 502)
    if is_sent_again:
        assert answer.json["body_sha"] == sha
    # held or not, it arrives, also at the next one when A is away
    assert put("/").json["body_sha"] == sha
    three["A"].kill9()
    answer = put("/")
    assert served(answer)[0] == "B" and answer.json["body_sha"] == sha


def test_what_is_sent_again_is_the_same_request(httpd, clones):
    server, three = start(httpd, clones)
    server.request("PUT", at("A reset"), body=b"x" * 20_000,
                   headers={**cookie("A", "B"), "X-Mine": "1"})
    first, second = three["A"].requests[-1], three["B"].requests[-1]
    for key in ("method", "path", "body_sha", "framing"):
        assert first[key] == second[key]
    differ = {k for k in {**first["headers"], **second["headers"]}
              if first["headers"].get(k) != second["headers"].get(k)}
    assert differ <= {"host"}, (first, second)


def test_no_attempt_begins_after_the_deadline(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneDeadline 500ms",
                          members="timeout=1")
    assert server.get(at("A hang"), headers=cookie("A", "B")).status == 504
    assert counts(three) == {"A": 1, "B": 0, "C": 0}


def test_answers_are_whole_and_their_own_after_another_failed(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneRetryStatus 503")
    answer = server.get(at("A busy"), headers=cookie("A", "B"))
    assert served(answer) == ("B", "next")
    # nothing of A's answer is left in it
    assert len(answer.all("Content-Length")) == 1
    assert len(answer.all("Content-Type")) == 1
    for cookie_line in answer.all("Set-Cookie"):
        assert ":B" in cookie_line or "A" in cookie_line
    assert err(server) == set()


def test_a_status_tried_again_meets_an_error_override_too(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneRetryStatus 503",
                          before="ProxyErrorOverride On 503\n")
    answer = server.get(at("A busy"), headers=cookie("A", "B"))
    assert served(answer) == ("B", "next")


def test_the_last_answer_of_503_is_the_client_s(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneRetryStatus 503")
    answer = server.get(at("A busy", "B busy", "C busy"),
                        headers=cookie("A", "B"))
    assert answer.status == 503 and answer.json["clone"] == "B"
    assert counts(three) == {"A": 1, "B": 1, "C": 0}


def test_an_error_page_is_fetched_without_the_user_s_body(httpd, clones):
    two = clones("A", "B")
    other = shop({"B": two["B"]}, name="other").replace(
        "ProxyPass / ", "ProxyPass /other/ ")
    server = httpd(other + "ErrorDocument 503 /other/sorry\n"
                   "ProxyErrorOverride On 503\n"
                   + shop({"A": two["A"]}), own=OWN)
    allow_nobody(server)
    two["A"].kill9()
    answer = server.post("/order", body=b"x" * 1000, headers=cookie("A"))
    assert answer.status == 503
    assert answer.json["path"] == "/sorry" and answer.json["body_len"] == 0
    assert server.get("/other/next").status == 200


STATUS = ("<Location /server-status>\nSetHandler server-status\n</Location>\n"
          "ProxyPass /server-status !\n")


def told(server):
    """What mod_status says became of failures."""
    text = server.get("/server-status?auto").text
    return {key.removeprefix("ProxyCloneRetry"): int(value)
            for key, _, value in (line.partition(": ")
                                  for line in text.split("\n"))
            if key.startswith("ProxyCloneRetry")}


def test_each_way_a_failure_ends_is_counted(httpd, clones):
    server, three = start(httpd, clones, before=STATUS)
    wanted = dict(Moved=0, Repeated=0, Replayed=0, BudgetRefused=0, Told=0)
    assert told(server) == wanted
    server.get("/mode/A/last/x", headers=cookie("A"))
    server.get(at("A garbage"), headers=cookie("A", "B"))
    wanted["Replayed"] = 1
    assert told(server) == wanted
    server.get("/", headers=cookie("A"))
    server.get(at("A reset-reused"), headers=cookie("A", "B"))
    wanted["Repeated"] = 1
    assert told(server) == wanted
    server.post(at("A garbage"), headers=cookie("A", "B"))
    wanted["Told"] = 1
    assert told(server) == wanted
    three["A"].kill9()
    server.post("/", headers=cookie("A", "B"))
    wanted["Moved"] = 1
    assert told(server) == wanted
    server.graceful()
    assert told(server) == wanted
    assert "sent again to another member" in server.get("/server-status").text


def test_without_a_budget_nothing_is_sent_again(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneRetryBudget 0 0\n"
                          "ProxyCloneRetryStatus 503", before=STATUS)
    assert server.get(at("A reset"), headers=cookie("A", "B")).status == 502
    answer = server.get(at("A busy"), headers=cookie("A", "B"))
    assert (answer.status, answer.json["clone"]) == (503, "A")
    assert counts(three) == {"A": 2, "B": 0, "C": 0}
    assert told(server)["BudgetRefused"] == 2
    # what nobody has goes on all the same
    three["A"].kill9()
    assert served(server.get("/", headers=cookie("A", "B")))[0] == "B"


# ---- up and down

def test_a_member_is_down_after_three_failures_and_tried_by_one(httpd,
                                                                clones):
    server, three = start(httpd, clones, members="retry=1")
    three["A"].kill9()
    for n in range(2):
        assert served(server.get("/", headers=cookie("A", "B")))[0] == "B"
        assert err(server) == set()
    assert served(server.get("/", headers=cookie("A", "B")))[0] == "B"
    assert "down after 3 failures in a row" in server.log.expect("CR0222")
    assert err(server) == {"A"}
    three["A"].start()
    three["A"].behave("delay 0.3")
    before = len(three["A"].requests)

    def is_asked():
        return len(three["A"].requests) > before

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        while not is_asked():
            trial = pool.submit(server.get, "/", headers=cookie("A", "B"))
            wait_until(lambda: trial.done() or is_asked(), 5, "an answer")
        # while one waits for A, the others do not
        three["A"].behave("normal")
        if not trial.done():
            assert served(server.get("/", headers=cookie("A", "B")))[0] == "B"
        assert served(trial.result())[0] == "A"
    server.log.expect("CR0223")
    assert served(server.get("/", headers=cookie("A", "B")))[0] == "A"
    assert err(server) == set()


def test_an_answer_between_failures_keeps_a_member_up(httpd, clones):
    server, three = start(httpd, clones)
    for n in range(4):
        for page in ("one", "two"):
            assert served(server.get(at("A close") + page,
                                     headers=cookie("A", "B")))[0] == "B"
        assert served(server.get("/", headers=cookie("A")))[0] == "A"
    assert err(server) == set()


def test_many_pages_that_fail_take_a_member_out_one_page_does_not(httpd,
                                                                  clones):
    server, three = start(httpd, clones)
    server.get("/", headers=cookie("A"))
    for n in range(6):
        server.get(at("A garbage"), headers=cookie("A", "B"))
    assert err(server) == set()
    for page in ("one", "two", "three"):
        server.get(at("A garbage") + page, headers=cookie("A", "B"))
    assert err(server) == {"A"}


def test_the_last_usable_member_is_never_marked(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneFailures 1")
    for clone in three.values():
        clone.kill9()
    for n in range(3):
        answer = server.get("/", headers=cookie("A"))
        assert answer.status == 503
        assert 1 <= int(answer.header("Retry-After")) <= 60
    assert len(err(server)) == 2


@pytest.mark.parametrize("headers", [cookie("A"), {}])
def test_with_one_clone_back_nobody_waits_for_its_retry_time(httpd, clones,
                                                             headers):
    server, three = start(httpd, clones, "ProxyCloneFailures 1",
                          members="retry=600")
    for clone in three.values():
        clone.kill9()
    for n in range(3):
        assert server.get("/", headers=headers).status == 503
    for back in three.values():
        back.start()
        answer = server.get("/", headers=headers)
        assert served(answer)[0] == back.id
        back.kill9()
        assert server.get("/", headers=headers).status == 503


def test_a_pool_that_is_full_is_no_dead_member(httpd, clones):
    server, three = start(httpd, clones, "ProxyCloneFailures 1",
                          members="max=1 acquire=50")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        three["A"].behave("hang")
        waiting = pool.submit(server.get, "/", headers=cookie("A"))
        wait_until(lambda: three["A"].requests, 5, "A is busy")
        answer = server.post("/", body=b"x", headers=cookie("A", "B"))
        assert served(answer)[0] == "B"
        three["A"].behave("normal")
        assert served(waiting.result())[0] == "A"
    assert err(server) == set()
    assert served(server.get("/", headers=cookie("A")))[0] == "A"


def test_when_nobody_is_left_the_client_is_told_when_to_return(httpd, clones):
    server, three = start(httpd, clones)
    page = Manager(server)
    for clone in three.values():
        page.set(clone, S=1)
    answer = server.get("/", headers=cookie("A"))
    assert answer.status == 503 and answer.header("Retry-After") == "1"
    assert shown(answer)["reason"] == "none"
