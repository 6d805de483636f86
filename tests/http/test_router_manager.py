# SPDX-License-Identifier: Apache-2.0
"""What the stock balancer-manager page can do to a routed balancer."""

import pytest

from process import wait_until
from router import (OWN, Manager, allow_dead, allow_nobody, cookie, served,
                    shop, shown)


@pytest.fixture
def site(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three), own=OWN)
    server.clones = three
    server.page = Manager(server)
    return server


def new_visitors(server, count=60):
    """The clones that visitors without a session reach. Enough of them to
    even out what the sessions of this file have weighed on one clone."""
    return {served(server.get("/"))[0] for _ in range(count)}


def strays(server, ids=("A",), count=12):
    """The clones that sessions of other names reach by this list."""
    return {served(server.get("/", headers=cookie(*ids, session=f"s{n}")))
            for n in range(count)}


@pytest.mark.every_mpm
def test_a_draining_clone_serves_its_sessions_and_nothing_else(site):
    site.page.set(site.clones["A"], N=1)
    assert strays(site, ["A"]) == {("A", "first")}
    assert strays(site, ["X", "A"]) == {("A", "next")}
    assert new_visitors(site) == {"B", "C"}
    assert {s[0] for s in strays(site, ["gone"])} == {"B", "C"}
    site.page.set(site.clones["B"], D=1)
    assert strays(site, ["B"]) == {("C", "failover")}
    assert strays(site, ["B", "A"]) == {("A", "next")}
    site.page.set(site.clones["A"], N=0)
    assert new_visitors(site) == {"A", "C"}
    assert {s[0] for s in strays(site, ["B"])} == {"A", "C"}


@pytest.mark.parametrize("flag", ["D", "S", "C"])
def test_a_clone_taken_out_gets_nothing(site, flag):
    site.page.set(site.clones["A"], **{flag: 1})
    assert strays(site, ["A"]) == {("B", "failover"), ("C", "failover")}
    assert strays(site, ["A", "C"]) == {("C", "next")}
    assert new_visitors(site) == {"B", "C"}
    assert site.clones["A"].requests == []
    site.page.set(site.clones["A"], **{flag: 0})
    assert strays(site, ["A"]) == {("A", "first")}


def test_a_hot_standby_steps_in_when_its_set_is_gone(site):
    site.page.set(site.clones["C"], H=1)
    assert new_visitors(site) == {"A", "B"}
    assert strays(site, ["gone"]) == {("A", "unknown"), ("B", "unknown")}
    assert strays(site, ["C"]) == {("C", "first")}
    site.page.set(site.clones["A"], D=1)
    assert strays(site, ["A"]) == {("B", "failover")}
    site.page.set(site.clones["B"], D=1)
    assert strays(site, ["A"]) == {("C", "failover")}
    assert new_visitors(site, 3) == {"C"}


def test_a_spare_steps_in_for_one_that_is_away(site):
    site.page.set(site.clones["C"], R=1)
    assert new_visitors(site) == {"A", "B"}
    assert strays(site, ["gone"]) == {("A", "unknown"), ("B", "unknown")}
    site.page.set(site.clones["A"], D=1)
    assert strays(site, ["A"]) == {("B", "failover"), ("C", "failover")}
    assert new_visitors(site) == {"B", "C"}


def test_a_higher_set_is_asked_last(site):
    site.page.set(site.clones["C"], ls=1)
    assert new_visitors(site) == {"A", "B"}
    assert strays(site, ["gone"]) == {("A", "unknown"), ("B", "unknown")}
    assert strays(site, ["C"]) == {("C", "first")}
    site.page.set(site.clones["A"], D=1)
    assert strays(site, ["A"]) == {("B", "failover")}
    site.page.set(site.clones["B"], D=1)
    assert strays(site, ["A"]) == {("C", "failover")}
    assert new_visitors(site, 3) == {"C"}


def test_a_redirect_takes_the_sessions_of_a_clone_that_is_away(site):
    site.page.set(site.clones["A"], rr="C", D=1)
    assert strays(site, ["A"]) == {("C", "redirect")}
    assert strays(site, ["A", "B"]) == {("B", "next")}
    site.page.set(site.clones["C"], rr="B", D=1)
    assert strays(site, ["A"]) == {("B", "redirect")}
    site.page.set(site.clones["A"], D=0)
    assert strays(site, ["A"]) == {("A", "first")}


def test_a_route_given_on_the_page_is_followed(site):
    site.page.set(site.clones["A"], wr="Z")
    for clone_id, reason in (("Z", "first"), ("A", "unknown")):
        answers = [site.get("/", headers=cookie(clone_id)) for _ in range(4)]
        assert {shown(a)["reason"] for a in answers} == {reason}
    answer = site.get("/", headers=cookie("Z"))
    assert (answer.json["clone"], shown(answer)["route"]) == ("A", "Z")


def test_nofailover_ends_a_session_with_its_clones(site):
    allow_nobody(site)
    site.page.set_balancer(sforce=1)
    site.clones["A"].kill9()
    assert site.get("/", headers=cookie("A")).status == 503
    assert site.get("/", headers=cookie("A")).status == 503
    line = site.log.expect("CR0202")
    assert "nofailover" in line
    assert strays(site, ["A", "B"]) == {("B", "next")}
    assert {s[0] for s in strays(site, ["gone"])} == {"B", "C"}
    assert new_visitors(site) == {"B", "C"}
    site.page.set_balancer(sforce=0)
    assert {s[1] for s in strays(site)} == {"failover"}
    assert [l["reason"] for l in site.access if l["status"] == "503"] == [
        "none"] * 2


def test_nofailover_stands_in_the_configuration_too(httpd, clones):
    two = clones("A", "B")
    server = httpd(shop(two, options="nofailover=On"), own=OWN)
    allow_nobody(server)
    two["A"].kill9()
    assert server.get("/", headers=cookie("A")).status == 503
    assert served(server.get("/", headers=cookie("A", "B"))) == ("B", "next")


def test_another_lbmethod_and_back(site):
    allow_dead(site)
    assert site.page.method == "clone"
    for _ in range(2):
        site.page.set_balancer(lbm="byrequests")
        assert site.page.method == "byrequests"
        # stock: what follows the first dot, and no word of ours
        answers = [site.get("/", headers=cookie("B")) for _ in range(12)]
        assert {a.json["clone"] for a in answers} == {"A", "B", "C"}
        assert {shown(a)["reason"] for a in answers} == {None}
        dotted = [site.get("/", headers=cookie("B", sep="."))
                  for _ in range(6)]
        assert {a.json["clone"] for a in dotted} == {"B"}
        assert {shown(a)["session_route"] for a in dotted} == {"B"}
        site.page.set_balancer(lbm="clone")
        assert site.page.method == "clone"
        assert strays(site, ["B"]) == {("B", "first")}


def test_the_page_can_route_a_balancer_that_no_directive_routes(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, inside=""), own=OWN)
    page = Manager(server)
    assert page.method == "byrequests"
    page.set_balancer(lbm="clone")
    assert strays(server, ["C"]) == {("C", "first")}
    assert new_visitors(server) == {"A", "B", "C"}


def test_a_change_of_method_resets_what_sessions_weighed(httpd, clones):
    two = clones("A", "B")
    server = httpd(shop(two, inside=""), own=OWN)
    page = Manager(server)
    for _ in range(9):
        server.get("/", headers=cookie("A", sep="."))
    assert page.members()["A"]["lbstatus"] == "-900"
    page.set_balancer(lbm="clone")
    assert [served(server.get("/"))[0] for _ in range(4)].count("A") == 2


def test_stickysession_can_be_changed_on_the_page(site):
    site.page.set_balancer(ss="SID|sid")
    sent = {"Cookie": "JSESSIONID=0000s1:A; SID=0000s2:C"}
    assert {served(site.get("/", headers=sent)) for _ in range(4)} == {
        ("C", "first")}
    assert {served(site.get("/;sid=0000s1:B")) for _ in range(4)} == {
        ("B", "first")}


def test_a_failed_health_check_moves_sessions_until_it_passes(httpd, clones):
    three = clones("A", "B", "C")
    server = httpd(shop(three, members="hcmethod=TCP hcinterval=2 retry=0"),
                   own=OWN)
    for tag in ("AH03251", "AH00957", "AH00959", "AH01114", "AH00940"):
        server.log.allow(tag)
    server.log.allow("proxy_hcheck")
    page = Manager(server)
    three["A"].kill9()
    wait_until(lambda: "HcFl" in page.members()["A"]["status"], 20, "HcFl")
    assert strays(server, ["A", "C"]) == {("C", "next")}
    three["A"].start()
    wait_until(lambda: "HcFl" not in page.members()["A"]["status"], 20,
               "recovery")
    assert strays(server, ["A", "C"]) == {("A", "first")}
