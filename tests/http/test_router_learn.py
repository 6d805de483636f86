# SPDX-License-Identifier: Apache-2.0
"""Clone ids that no member is configured with: learned from answers, and
from nothing else."""

import pytest

from backend import balancer
from client import Jar
from process import wait_until
from router import MANAGER, OWN, SHOW, allow_nobody, cookie, shown

STATUS = "<Location /server-status>\nSetHandler server-status\n</Location>\n" \
         "ProxyPass /server-status !\nExtendedStatus Off\n"


def blind(clones, profile, extra="", inside=""):
    """A routed balancer whose members have no route."""
    text = balancer(clones, options="nofailover=Off").replace(
        "</Proxy>", f"ProxyCloneRouting On\nProxyCloneProfile {profile}\n"
        f"{inside}\n</Proxy>")
    for clone in clones.values():
        text = text.replace(f" route={clone.id}", "")
    return MANAGER + STATUS + SHOW + extra + text


def counts(server):
    """What mod_status says of learning, by the last word of each name."""
    text = server.get("/server-status?auto").text
    return {line.split(":")[0].removeprefix("ProxyCloneLearn"):
            int(line.split(":")[1]) for line in text.splitlines()
            if line.startswith("ProxyCloneLearn")}


def ask(server, jar=None, **kw):
    """(clone that answered, reason)"""
    answer = server.get("/", jar=jar, **kw)
    assert answer.status == 200, answer
    return answer.json["clone"], shown(answer)["reason"]


@pytest.fixture
def weblogic(httpd, clones):
    """Three WebLogic servers, their numbers in no configuration."""
    three = clones("A", "B", "C", profile="weblogic")
    for clone, number in zip(three.values(), ("-314662473", "869187422",
                                              "1308677666")):
        clone.kill9()
        clone.issues = number
        clone.start()
    server = httpd(blind(three, "weblogic"), own=OWN)
    server.clones = three
    return server


@pytest.mark.every_mpm
def test_a_session_stays_with_the_server_whose_number_nobody_configured(
        weblogic):
    jars = [Jar() for _ in range(6)]
    first = [ask(weblogic, jar) for jar in jars]
    assert {clone for clone, _ in first} == {"A", "B", "C"}
    for jar, (clone, reason) in zip(jars, first):
        assert reason == "new"
        for _ in range(3):
            assert ask(weblogic, jar) == (clone, "learned")
    assert counts(weblogic) == {
        "Held": 3, "Room": 4096, "Learned": 3, "Used": 18, "Unknown": 0,
        "Refused": 0, "Evicted": 0}
    assert shown(weblogic.get("/", jar=jars[0]))["changed"] is None
    assert shown(weblogic.get("/", jar=jars[0]))["session_route"] \
        == weblogic.clones[first[0][0]].issues
    weblogic.log.expect("CR0211")


def test_a_restarted_weblogic_keeps_its_sessions_under_its_new_number(
        weblogic):
    jar = Jar()
    clone, _ = ask(weblogic, jar)
    weblogic.clones[clone].kill9()
    weblogic.clones[clone].issues = "-777"
    weblogic.clones[clone].start()
    assert ask(weblogic, jar) == (clone, "learned")
    assert jar["JSESSIONID"].endswith("!-777")
    for _ in range(3):
        assert ask(weblogic, jar) == (clone, "learned")


def test_what_was_learned_outlives_a_graceful_restart(weblogic):
    jar = Jar()
    clone, _ = ask(weblogic, jar)
    weblogic.graceful()
    for _ in range(3):
        assert ask(weblogic, jar) == (clone, "learned")


def test_a_server_that_left_the_balancer_is_unknown_again(weblogic):
    jar = Jar()
    gone, _ = ask(weblogic, jar)
    left = {k: c for k, c in weblogic.clones.items() if k != gone}
    weblogic.graceful(blind(left, "weblogic"))
    sent = {"Cookie": f"JSESSIONID={jar['JSESSIONID']}"}
    # A child of before may answer once more.
    clone, reason = wait_until(
        lambda: (lambda got: got if got[0] in left else None)(
            ask(weblogic, headers=sent)), 10, "answer of another clone")
    assert reason == "unknown"
    assert counts(weblogic)["Unknown"] >= 1


def test_a_learned_server_that_died_is_replaced_by_one_and_only_one(weblogic):
    jar = Jar()
    dead, _ = ask(weblogic, jar)
    sent = {"Cookie": f"JSESSIONID={jar['JSESSIONID']}"}
    weblogic.clones[dead].kill9()
    allow_nobody(weblogic)
    got = {ask(weblogic, headers=sent) for _ in range(6)}
    assert len(got) == 1
    (clone, reason), = got
    assert clone != dead and reason == "failover"


def test_two_routers_do_not_learn_from_requests(httpd, clones):
    """Application servers keep the list that a client sends, and add
    themselves: such an answer names what the client wants it to name."""
    three = clones("A", "B", "C")
    server = httpd(blind(three, "websphere"), own=OWN)
    for i in range(20):
        ask(server, headers=cookie(f"evil{i}", session=f"s{i}"))
    got = counts(server)
    assert (got["Held"], got["Learned"]) == (0, 0)
    assert got["Unknown"] == got["Refused"] == 20
    jar = Jar()
    clone, _ = ask(server, jar)
    assert ask(server, jar) == (clone, "learned")
    # now the id is known, and a client may name it, as any other
    assert ask(server, headers=cookie("evil", clone)) == (clone, "learned")


@pytest.mark.parametrize("path, headers", [
    ("/x;y=victim", {}), ("/?victim", {}), ("/?x=vi%63tim", {}),
    ("/", {"Cookie": "other=victim"}), ("/", {"Cookie": "o=%76ictim"}),
])
def test_what_a_client_wrote_anywhere_teaches_nothing(httpd, clones, path,
                                                      headers):
    one = clones("A")
    one["A"].kill9()
    one["A"].issues = "victim"
    one["A"].start()
    server = httpd(blind(one, "websphere"), own=OWN)
    assert "victim" in server.get(path, headers=headers).header("Set-Cookie")
    got = counts(server)
    assert (got["Held"], got["Refused"]) == (0, 1)
    server.get("/")
    assert counts(server)["Held"] == 1


def test_a_member_that_issues_its_route_teaches_nothing(httpd, clones):
    three = clones("A", "B")
    server = httpd(blind(three, "websphere").replace(
        "BalancerMember " + three["A"].url,
        "BalancerMember " + three["A"].url + " route=A"), own=OWN)
    jars = [Jar() for _ in range(4)]
    assert {ask(server, jar)[0] for jar in jars} == {"A", "B"}
    assert counts(server)["Held"] == 1


def test_the_table_is_bounded_and_forgets_the_oldest(httpd, clones):
    one = clones("A")
    one["A"].behave("fresh")
    server = httpd(blind(one, "websphere", "ProxyCloneLearnMax 64\n"),
                   own=OWN)
    with server.client() as c:
        for _ in range(200):
            c.get("/")
    got = counts(server)
    assert got["Room"] == 64 and got["Held"] <= 64
    assert got["Learned"] == 200 == got["Held"] + got["Evicted"]


def test_off_means_off(httpd, clones):
    three = clones("A", "B")
    server = httpd(blind(three, "websphere", inside="ProxyCloneLearn Off"),
                   own=OWN)
    jar = Jar()
    ask(server, jar)
    assert ask(server, jar)[1] == "unknown"
    assert set(counts(server).values()) <= {0, 4096}


def test_the_page_for_people_shows_the_counts(weblogic):
    ask(weblogic)
    page = weblogic.get("/server-status").text
    assert "Clone ids learned" in page
    assert "1 held, room for 4096" in page


def test_no_learned_id_is_logged(httpd, clones):
    """With a wrong profile what is taken for a clone id may be a part of a
    session id."""
    one = clones("A")
    one["A"].kill9()
    one["A"].issues = "aPieceOfSomeSession"
    one["A"].start()
    server = httpd(blind(one, "websphere"), own=OWN, loglevel="debug "
                   "proxy_balancer_clone:trace8 proxy_balancer:trace8")
    jar = Jar()
    ask(server, jar)
    assert ask(server, jar) == ("A", "learned")
    assert "aPieceOfSomeSession" not in server.log.text
