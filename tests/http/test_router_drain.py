# SPDX-License-Identifier: Apache-2.0
"""A member is taken out: sessions counted, kept, moved, over restarts."""

import http.client
import os
import signal
import threading

import pytest

from admin import ADMIN, Admin
from browser import Browser
from plugin_cfg import PluginFile, simple
from process import free_port, is_alive, wait_until
from router import OWN, Manager, allow_dead, cookie, served, shop

IDLE = "ProxyCloneSessionIdle 1s\n"


@pytest.fixture
def make(httpd, clones):
    def factory(before="", inside="ProxyCloneRouting On", **kw):
        three = clones("A", "B", "C")
        server = httpd(shop(three, inside=inside, before=ADMIN + before,
                            **kw), own=OWN)
        server.clones = three
        server.page = Manager(server)
        server.admin = Admin(server)
        return server
    return factory


def restart(server, conf=None):
    """Gracefully, until nobody of before answers any more."""
    before = server.graceful(conf)
    wait_until(lambda: not any(map(is_alive, before)), 20, "end of children")


def visit(server, clone_id, count, first=0):
    for n in range(first, first + count):
        server.get("/", headers=cookie(clone_id, session=f"s{n}"))


@pytest.mark.every_mpm
def test_sessions_are_counted_where_they_were_served_last(make):
    site = make()
    visit(site, "A", 7)
    visit(site, "A", 7)
    visit(site, "B", 2, first=50)
    said = site.admin.until("A", sessions=7)
    assert said["in_flight"] == 0 and said["last_request_sec"] < 60
    assert site.admin.until("B", sessions=2)["sessions_exact"] is False
    assert site.admin.member("C")["last_request_sec"] is None
    # they move with the clone that serves them
    site.admin.do("stop", "A")
    allow_dead(site)
    visit(site, "A", 7)
    wait_until(lambda: site.admin.member("B")["sessions"]
               + site.admin.member("C")["sessions"] == 9, 10, "nine sessions")
    assert site.admin.member("A")["sessions"] == 0
    assert site.admin.member("A")["state"] == "stopped"


def test_an_answer_begins_and_ends_a_session(make):
    site = make()
    site.admin.do("stop", "B")
    site.admin.do("stop", "C")
    jar = {}
    answer = site.get("/")
    jar["Cookie"] = answer.header("Set-Cookie").split(";")[0]
    assert site.admin.member("A")["sessions"] == 1
    site.get("/", headers=jar)
    assert site.admin.member("A")["sessions"] == 1
    # a clone of a list joins it: still one session
    site.get("/", headers=cookie("X", session="other"))
    assert site.admin.member("A")["sessions"] == 2
    # logged out: gone at once
    site.get("/?set-cookie=JSESSIONID%3D%3B+Max-Age%3D0", headers=jar)
    assert site.admin.member("A")["sessions"] == 1
    # an answer of ours says nothing of the session
    site.clones["A"].kill9()
    allow_dead(site)
    site.log.allow("AH01170")
    assert site.get("/", headers=jar).status == 503
    assert site.admin.member("A")["sessions"] == 1


def test_a_drain_ends_when_the_last_session_is_over(make):
    site = make(IDLE)
    visit(site, "A", 3)
    site.admin.until("A", sessions=3)
    assert "takes-new-sessions" in site.admin.member("A")["reasons"]
    said = site.admin.do("drain", "A")
    assert said["safe_to_stop"] is False and said["state"] == "draining"
    assert "sessions" in said["reasons"]
    waited = site.admin.get("?balancer=shop&member=A&wait=20&quiet=1")
    assert waited.status == 200, waited
    assert waited.json["safe_to_stop"] is True
    assert waited.json["reasons"] == []
    assert (waited.json["sessions"], waited.json["sessions_exact"]) \
        == (0, True)
    # one comes after all
    visit(site, "A", 1)
    site.admin.until("A", sessions=1, safe_to_stop=False)
    assert site.admin.do("undrain", "A")["state"] == "up"


def test_a_request_under_way_keeps_a_member_up(make):
    site = make(IDLE)
    site.clones["A"].behave("hang")
    site.admin.do("drain", "A")
    thread = threading.Thread(target=visit, args=(site, "A", 1))
    thread.start()
    said = site.admin.until("A", in_flight=1, sessions_exact=True)
    assert said["reasons"] == ["in-flight"]
    site.clones["A"].behave("normal")
    thread.join()
    site.admin.until("A", in_flight=0, sessions=0, safe_to_stop=True)


def test_a_child_that_is_killed_takes_its_requests_along(make):
    site = make(IDLE)
    site.log.allow(r"AH00051|AH00052|AH10291")
    site.clones["A"].behave("hang")

    def ask():
        try:
            visit(site, "A", 1)
        except (OSError, http.client.HTTPException):
            pass            # its server dies

    thread = threading.Thread(target=ask)
    thread.start()
    site.admin.until("A", in_flight=1)
    dead = site.children()
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    thread.join()
    wait_until(lambda: not any(map(is_alive, dead)), 10, "end of children")
    wait_until(lambda: site.children(), 10, "new children")
    site.admin.until("A", in_flight=0)
    site.clones["A"].behave("normal")


def test_more_sessions_than_were_asked_for_are_at_least_so_many(make):
    site = make("ProxyCloneSessions 100\nProxyCloneSessionIdle 3s\n")
    with site.client() as client:
        for n in range(250):
            client.get("/", headers=cookie("A", session=f"s{n}"))
        said = site.admin.member("A")
        assert 100 <= said["sessions"] < 250
        assert said["sessions_exact"] is False
        assert "uncounted-sessions" in said["reasons"]
    site.admin.until("A", timeout=15, sessions=0, sessions_exact=True)


# ---- both sides show the same ------------------------------------------------

def status(site, member):
    return site.page.members()[member]["status"].split()


def test_what_one_side_set_the_other_shows(make):
    site = make()
    for action, word, on in (("drain", "Drn", True), ("stop", "Stop", True),
                             ("undrain", "Drn", False),
                             ("start", "Stop", False)):
        site.admin.do(action, "A")
        assert (word in status(site, "A")) == on
    for flag, state in (("N", "draining"), ("D", "disabled"),
                        ("S", "stopped")):
        site.page.set(site.clones["B"], **{flag: 1})
        assert site.admin.member("B")["state"] == state
        assert site.admin.member("B")["flags"] == flag
        site.page.set(site.clones["B"], **{flag: 0})
        assert site.admin.member("B")["state"] == "up"
    site.page.set(site.clones["A"], N=1)
    assert site.admin.do("start", "A")["flags"] == ""
    assert status(site, "A") == ["Init", "Ok"]


def test_in_a_real_browser(make, workdir):
    site = make(IDLE)
    visit(site, "A", 3)
    site.admin.until("A", sessions=3)
    browser = Browser(os.path.join(workdir, "browser"))
    # stock: an address that was typed comes without a Referer
    site.log.allow("AH10187")
    try:
        browser.start()
        page = f"{site.url}/manager"

        def edit(**flags):
            browser.open(page)
            browser.click(f"a[href*='{site.clones['A'].port}']")
            for flag, on in flags.items():
                browser.run(f"document.querySelector('input[name=w_status_"
                            f"{flag}][value=\"{int(on)}\"]').checked = true")
            browser.click("input[type=submit]")

        edit(N=True)
        assert site.admin.member("A")["state"] == "draining"
        assert new_visitors(site) == {"B", "C"}
        site.admin.until("A", sessions=0, safe_to_stop=True)
        edit(S=True)
        assert site.admin.member("A")["flags"] == "NS"
        edit(N=False, S=False)
        assert site.admin.member("A")["state"] == "up"
        site.admin.do("drain", "A")
        browser.open(page)
        assert "Drn" in browser.run(
            "return [...document.querySelectorAll('tr')].find(e => "
            f"e.innerText.includes('{site.clones['A'].port}')).innerText")
        browser.open(f"{site.url}/clones?balancer=shop&member=A")
        assert '"state":"draining"' in browser.run(
            "return document.body.innerText")
    finally:
        browser.stop()


def new_visitors(site, count=20):
    return {served(site.get("/"))[0] for _ in range(count)}


# ---- restarts ----------------------------------------------------------------

@pytest.mark.every_mpm
def test_a_drain_outlives_restarts(make):
    site = make()
    visit(site, "B", 4)
    site.admin.until("B", sessions=4)
    since = site.admin.do("drain", "A")["drain_since"]
    site.admin.do("stop", "B")
    site.page.set(site.clones["C"], D=1)
    for _ in range(2):
        restart(site)
        assert site.admin.member("A")["drain_since"] == since
        assert [site.admin.member(m)["flags"] for m in "ABC"] \
            == ["N", "S", "D"]
        # and so do the sessions
        assert site.admin.member("B")["sessions"] == 4
    site.stop()
    site.start()
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["N", "S", "D"]
    assert site.admin.member("A")["drain_since"] == since
    assert status(site, "A") == ["Init", "Drn", "Ok"]
    for member in "ABC":
        site.admin.do("start", member)
    site.kill9()
    site.start()
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["", "", ""]


def test_what_the_configuration_says_is_not_remembered(make):
    site = make(members={"A": "status=+N", "B": "status=+N"})
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["N", "N", ""]
    site.admin.do("undrain", "A")
    site.admin.do("drain", "C", force=True)
    restart(site)
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["", "N", "N"]
    restart(site, site.conf.replace("status=+N", ""))
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["", "", "N"]
    site.admin.do("undrain", "C")
    site.stop()
    site.start()
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["", "", ""]


def test_a_member_that_was_away_is_drained_when_it_is_back(make):
    site = make()
    site.admin.do("drain", "A")
    whole = site.conf
    restart(site, whole.replace(site.clones["A"].member(), ""))
    assert site.admin.get("?balancer=shop&member=A").status == 404
    site.admin.do("drain", "B")
    site.stop()
    site.conf = whole
    site.start()
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["N", "N", ""]


def test_a_clone_that_comes_back_in_plugin_cfg_still_drains(httpd, clones,
                                                            workdir):
    three = clones("A", "B", "C")
    file = PluginFile(workdir, simple(three))
    server = httpd(ADMIN + file.directive, own=OWN)
    admin = Admin(server)
    admin.do("drain", "A")
    file.change(server, simple(three, drop=("A",)))
    file.change(server, simple(three))
    assert admin.member("A")["flags"] == "N"
    admin.do("undrain", "A")
    file.change(server, simple(three, drop=("A",)))
    file.change(server, simple(three))
    assert admin.member("A")["flags"] == ""


def test_balancerpersist_and_we_agree(make):
    site = make("BalancerPersist On\n")
    site.admin.do("drain", "A")
    restart(site)
    site.stop()
    site.start()
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["N", "", ""]
    site.admin.do("undrain", "A")
    site.stop()
    site.start()
    assert [site.admin.member(m)["flags"] for m in "ABC"] == ["", "", ""]


def test_a_file_that_makes_no_sense_costs_what_makes_none(make):
    site = make()
    site.admin.do("drain", "A")
    site.admin.do("drain", "B")
    path = os.path.join(site.dir, "proxy_clone", "members")
    site.stop()
    with open(path) as f:
        head, first, second = f.read().splitlines()
    for text, said, flags in (
            (f"{head}\nnonsense\n{second}\n", "line 2", ["", "N"]),
            (f"{head}\n{first}\n{second}", "line 3", ["N", ""]),
            ("\0" * 5000, "line 1", ["", ""]),
            ("x" * 400000, "line 1", ["", ""])):
        with open(path, "w") as f:
            f.write(text)
        site.start()
        assert said in site.log.expect("CR0143")
        assert [site.admin.member(m)["flags"] for m in "AB"] == flags
        site.stop()
    os.unlink(path)
    os.symlink("/etc/passwd", path)
    site.start()
    site.log.expect("CR0142")
    assert [site.admin.member(m)["flags"] for m in "AB"] == ["", ""]
    # the next change makes it a file again
    site.admin.do("drain", "A")
    assert not os.path.islink(path)
    site.stop()
    site.start()
    assert [site.admin.member(m)["flags"] for m in "AB"] == ["N", ""]


def test_without_a_file_a_drain_lasts_until_the_stop(make):
    site = make("ProxyCloneStateDir no/such/place\n")
    site.log.expect("CR0141")
    answer = site.admin.act("drain", "A")
    site.log.expect("CR0300")
    site.log.expect("CR0301")
    assert (answer.status, answer.json["kept"]) == (200, False)
    restart(site)
    assert site.admin.member("A")["flags"] == "N"
    site.stop()
    site.start()
    assert site.admin.member("A")["flags"] == ""


# ---- virtual hosts -----------------------------------------------------------

def test_all_virtual_hosts_are_told(httpd, clones):
    three = clones("A", "B")
    port = free_port()
    own = shop(three, before=ADMIN)
    server = httpd(start=False, own=OWN)
    server.conf = f"""
        Listen 127.0.0.1:{port}
        <VirtualHost 127.0.0.1:{server.port}>
        ServerName one
        {own}
        </VirtualHost>
        <VirtualHost 127.0.0.1:{port}>
        ServerName other
        {own}
        </VirtualHost>
        """
    server.start()
    admin = Admin(server)
    assert admin.member("A")["copies"] == 2
    said = admin.do("drain", "A")
    assert (said["copies_closed"], said["state"]) == (2, "draining")
    assert "2 virtual hosts" in server.log.text
    # the page of one host undoes its own copy
    Manager(server).set(three["A"], N=0)
    said = admin.member("A")
    assert (said["copies_closed"], said["state"]) == (1, "mixed")
    assert "takes-new-sessions" in said["reasons"]
    assert admin.do("drain", "A")["copies_closed"] == 2
    restart(server)
    assert admin.member("A")["copies_closed"] == 2


# ---- the deadline ------------------------------------------------------------

def test_after_the_deadline_sessions_leave(make):
    site = make("ProxyCloneDrainDeadline 0 0\n")
    visit(site, "A", 3)
    site.admin.until("A", sessions=3)
    site.admin.do("drain", "A")
    for n in range(3):
        answer = site.get("/", headers=cookie("A", "C", session=f"s{n}"))
        assert served(answer) == ("C", "next")
        # and they stay where they went, although A is still first
        site.admin.until("C", sessions=n + 1)
        answer = site.get("/", headers=cookie("A", "C", session=f"s{n}"))
        assert served(answer) == ("C", "next")
    site.admin.until("A", sessions=0)
    site.admin.do("stop", "C")
    # a draining member is better than none
    site.admin.do("stop", "B", force=True)
    assert served(site.get("/", headers=cookie("A", "C"))) == ("A", "first")


def test_those_that_were_idle_leave_first(make):
    site = make("ProxyCloneSessionIdle 1h\nProxyCloneDrainDeadline 0 1h\n")
    visit(site, "A", 1)
    site.admin.until("A", sessions=1)
    site.admin.do("drain", "A")
    # in use: stays; never seen: leaves
    assert served(site.get("/", headers=cookie("A", session="s0"))) \
        == ("A", "first")
    clone_id, reason = served(site.get("/", headers=cookie("A",
                                                           session="new")))
    assert clone_id in "BC" and reason == "failover"


def test_nobody_leaves_without_a_deadline_or_with_nofailover(make):
    site = make("ProxyCloneDrainDeadline 0 0\n",
                inside="ProxyCloneRouting On\nProxyCloneDrainDeadline None")
    site.admin.do("drain", "A")
    assert served(site.get("/", headers=cookie("A"))) == ("A", "first")
    restart(site, site.conf.replace(
        "ProxyCloneDrainDeadline None",
        "ProxySet nofailover=On"))
    assert served(site.get("/", headers=cookie("A"))) == ("A", "first")
    assert site.admin.member("A")["flags"] == "N"
