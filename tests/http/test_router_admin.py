# SPDX-License-Identifier: Apache-2.0
"""The admin handler: what it refuses, and what it says."""

import json
import threading

import pytest

from admin import ADMIN, HEADERS, Admin
from process import wait_until
from router import OWN, Manager, cookie, shop

GOOD = {"balancer": "shop", "member": "A", "action": "drain"}


@pytest.fixture
def site(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, before=ADMIN), own=OWN)
    server.clones = three
    server.page = Manager(server)
    server.admin = Admin(server)
    return server


def flags(site):
    return {m: row["status"] for m, row in site.page.members().items()}


BAD_COMMANDS = [
    ("{", 400), ("", 400), ("[]", 400), ('"drain"', 400), ("\0", 400),
    ('{"balancer":"shop","member":"A","action":"drain"', 400),
    ('{"balancer":"shop","member":"A","action":"drain"}}', 400),
    ('{"balancer":"shop","member":"A","member":"B","action":"drain"}', 400),
    ('{"balancer":"shop","member":{"id":"A"},"action":"drain"}', 400),
    ('{"balancer":"shop","member":["A"],"action":"drain"}', 400),
    ("{" + "[" * 4000, 400),
    (b'{"balancer":"shop","member":"\xff","action":"drain"}', 400),
    ({}, 422), ({**GOOD, "action": "explode"}, 422),
    ({**GOOD, "action": None}, 422), ({**GOOD, "member": 1}, 422),
    ({**GOOD, "force": "yes"}, 422), ({**GOOD, "now": True}, 422),
    ({"balancer": "shop", "member": "A"}, 422),
    ({**GOOD, "member": "Z"}, 404), ({**GOOD, "member": ""}, 404),
    ({**GOOD, "balancer": "shops"}, 404), ({**GOOD, "balancer": ""}, 404),
    ({**GOOD, "member": "a"}, 404),
    (" " * 4097, 413), ({**GOOD, "member": "A" * 5000}, 413),
]


def test_a_bad_command_is_refused_and_changes_nothing(site):
    before = flags(site)
    for body, status in BAD_COMMANDS:
        answer = site.admin.post(body)
        assert answer.status == status, (body, answer)
        assert answer.header("Content-Type") == "application/json"
        assert answer.json["error"]
    chunked = site.request("POST", "/clones", body=" " * 9000, chunked=True,
                           headers=HEADERS)
    assert chunked.status == 413
    assert site.post("/clones?balancer=shop", body=json.dumps(GOOD),
                     headers=HEADERS).status == 400
    assert flags(site) == before
    assert not site.log.has("CR0300")


def test_a_page_of_another_site_can_change_nothing(site):
    before = flags(site)
    text = json.dumps(GOOD)
    own, json_type = {"X-Clone-Admin": "1"}, "application/json"
    for headers, status in (
            ({"Content-Type": json_type}, 403),
            ({}, 403),
            (own, 415),
            ({**own, "Content-Type": "text/plain"}, 415),
            ({**own, "Content-Type": "application/jsonp"}, 415),
            ({**own, "Content-Type": "application/x-www-form-urlencoded"},
             415)):
        answer = site.admin.post(text, headers)
        assert answer.status == status, (headers, answer)
    asked = site.request("OPTIONS", "/clones", headers={
        "Origin": "http://evil.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-clone-admin"})
    assert asked.status == 405
    for answer in (asked, site.get("/clones", headers={
            "Origin": "http://evil.example"})):
        assert not [k for k, _ in answer.headers
                    if k.lower().startswith("access-control")]
        assert answer.header("Cache-Control") == "no-store"
        assert answer.header("X-Content-Type-Options") == "nosniff"
    assert flags(site) == before


def test_methods_and_places_that_are_not_there(site):
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
        answer = site.request(method, "/clones", headers=HEADERS)
        assert answer.status == 405, answer
        assert answer.header("Allow") == "GET, HEAD, POST"
    assert site.get("/clones/shop").status == 404
    assert site.post("/clones/shop", body=json.dumps(GOOD),
                     headers=HEADERS).status == 404
    head = site.request("HEAD", "/clones")
    assert (head.status, head.body) == (200, b"")


QUESTIONS = [
    ("?balancer=shop", 200), ("?balancer=balancer://SHOP", 200),
    ("?balancer=shop&member=A", 200), ("?balancer=shop&member=Z", 404),
    ("?balancer=x", 404), ("?balancer=x&member=A", 404), ("?member=A", 400),
    ("?wait=1", 400), ("?balancer=shop&wait=1", 400),
    ("?balancer=shop&member=A&wait=61", 400),
    ("?balancer=shop&member=A&wait=-1", 400),
    ("?balancer=shop&member=A&wait=1s", 400),
    ("?balancer=shop&member=A&wait=99999999999999999999", 400),
    ("?balancer=shop&member=A&quiet=x", 400), ("?format=xml", 400),
    ("?format=json", 200), ("?action=drain", 400),
    ("?balancer=shop&member=A%00", 400), ("?%", 400), ("?balancer=%zz", 404),
    ("?" + "a=b&" * 1500, 400),
]


def test_a_question_is_answered_or_refused(site):
    for query, status in QUESTIONS:
        answer = site.admin.get(query)
        assert answer.status == status, (query, answer)
        assert (status == 200) == ("error" not in answer.text)


def test_the_last_member_goes_by_force_only(site):
    admin = site.admin
    admin.do("drain", "A")
    admin.do("stop", "B")
    for action in ("drain", "stop"):
        answer = admin.act(action, "C")
        assert answer.status == 409
        assert "force" in answer.json["error"]
        assert admin.act(action, "C", force=False).status == 409
    assert admin.member("C")["state"] == "up"
    # what is so already may be asked for again
    assert admin.do("drain", "A")["state"] == "draining"
    assert admin.do("drain", "C", force=True)["state"] == "draining"
    assert admin.do("start", "B")["state"] == "up"
    assert admin.do("stop", "C")["state"] == "stopped"


def test_two_who_take_out_the_last_two_are_not_both_obeyed(site):
    site.admin.do("stop", "C")
    for _ in range(5):
        answers = []
        threads = [threading.Thread(
            target=lambda m=m: answers.append(site.admin.act("stop", m)))
            for m in "AB"]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert sorted(a.status for a in answers) == [200, 409]
        for member in "AB":
            site.admin.do("start", member)


def test_require_guards_it_and_the_log_says_who(httpd, clones):
    three = clones("A", "B")
    server = httpd(start=False, own=OWN)
    users = server.file("users", "ada:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n",
                        server.dir)
    guard = ADMIN.replace("</Location>", f"""AuthType Basic
        AuthName clones
        AuthBasicProvider file
        AuthUserFile {users}
        Require valid-user
        </Location>""")
    server.conf = shop(three, before=guard)
    server.modules += ["auth_basic"]
    server.start()
    server.log.allow("AH01617|AH01618")
    assert Admin(server).get().status == 401
    assert Admin(server).act("drain", "A").status == 401
    ada = Admin(server, headers={
        "Authorization": "Basic YWRhOnBhc3N3b3Jk"})
    said = ada.do("drain", "A")
    assert said["changed_by"] == "ada"
    assert server.log.has(r"CR0300: balancer://shop: user ada at 127.0.0.1 "
                          r"lets drain A")
    assert said["changed"] == said["drain_since"]


def test_few_may_wait_and_all_of_them_end(site):
    waiting = "?balancer=shop&member=A&wait=20"
    answers = []

    def ask():
        status = 503
        while status == 503:    # the probe below was there first
            status = site.admin.get(waiting).status
        answers.append(status)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    fifth = wait_until(
        lambda: next((a for a in [site.admin.get(
            "?balancer=shop&member=A&wait=1")] if a.status == 503), None),
        15, "503 for the fifth")
    assert fifth.header("Retry-After") == "5"
    assert site.admin.get().status == 200
    site.graceful()
    for t in threads:
        t.join(15)
    assert answers == [202] * 4
    # the place of one who goes away is free again
    assert site.admin.get("?balancer=shop&member=A&wait=1").status == 202


def test_numbers_for_prometheus(site):
    site.get("/", headers=cookie("A"))
    site.admin.until("A", sessions=1)
    answer = site.admin.get("?format=prometheus")
    assert answer.header("Content-Type").startswith("text/plain")
    assert '\nproxy_clone_sessions{balancer="shop",member="A"} 1.000\n' \
        in answer.text
    for line in answer.text.splitlines():
        assert line.startswith("#") or line.split("{")[0] in (
            f"proxy_clone_{n}" for n in (
                "sessions", "sessions_exact", "in_flight", "usable",
                "last_request_timestamp_seconds", "draining",
                "max_in_flight", "slow_start_share", "waiting",
                "waited_total", "refused_total", "expired_total",
                "passed_total",
                "safe_to_stop")), line
