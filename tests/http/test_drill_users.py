# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: what users make of answers that are late, broken or of
nobody, and that they end when they are told to."""

import os
import resource
import ssl
import subprocess
import sys
import time

import pytest

from drill_site import (COMMAND, Crew, Listener, PYTHON, ROOT, fake,
                        unused_endpoint)      # noqa: F401  a fixture

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import judge, plan as plans, relay, users  # noqa: E402


HEAD = b"HTTP/1.1 200 OK\r\n"


class Says(Listener):
    """A web server that answers each request with these parts, a part each
    time that it has waited."""

    def __init__(self, *parts, wait=0.0, is_last=False):
        self.parts = parts
        self.wait = wait
        self.is_last = is_last
        self.count = 0
        super().__init__()
        self.url = f"http://127.0.0.1:{self.at[1]}"

    def talk(self, line):
        with line:
            while line.recv(65536):
                self.count += 1
                try:
                    for part in self.parts:
                        line.sendall(part)
                        time.sleep(self.wait)
                except OSError:
                    return
                if self.is_last:
                    return


def user_of(fake, *webs, dead=None):
    """(a user of these web servers, his plan)"""
    plan = plans.read_plan(fake.plan(fake.part("p1")))
    plan.webs = list(webs)
    return users.User(Crew(plan, dead), len(webs)), plan


def look(user, plan):
    return user.send(plan.steps_that("look")[0], users.Jar())


# ---- answers

@pytest.mark.parametrize("parts", [
    [HEAD + b"Content-Length: 40\r\n\r\nthe shop user=a"],
    [HEAD + b"Transfer-Encoding: chunked\r\n\r\n20\r\nthe shop user=a"],
    [HEAD + b"Content-Length: 5000000\r\n\r\nthe shop"] + [b"x" * 500000] *
    10])
def test_a_part_of_a_page_is_no_page(fake, parts):
    web = Says(*parts, is_last=True)
    user, plan = user_of(fake, web.url)
    session = judge.Session("ada", ["user", "tea"])
    session.facts["tea"].worlds = {("2", frozenset())}
    assert not user.look(session, users.Jar())
    web.socket.close()
    total = user.tally.totals()
    assert total["failed"] and not total["looks"] and not user.tally.losses


def test_answers_of_one_connection_come_whole(fake):
    body = b"the shop " + b"x" * 200000
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    for head in (b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
                 b"Transfer-Encoding: chunked\r\n\r\n" + chunk):
        web = Says(HEAD + head)
        user, plan = user_of(fake, web.url)
        for _ in range(3):
            answer = look(user, plan)
            assert answer.word == "ok"
            assert answer.text.strip().encode() == body
        web.socket.close()
        assert (web.count, user.tally.totals()["failed"]) == (3, 0)


def test_bytes_that_drip_do_not_make_an_answer_in_time(fake):
    web = Says(HEAD + b"Content-Length: 99\r\n\r\n", *[b"x"] * 99, wait=0.1)
    user, plan = user_of(fake, web.url)
    user.webs[0].timeout = 0.5
    begun = time.monotonic()
    answer = look(user, plan)
    took = time.monotonic() - begun
    web.socket.close()
    assert answer.why.endswith("no answer in time")
    assert 0.4 < took < 5


def test_a_connection_that_was_idle_for_long_is_not_used_again(fake):
    web = Says(HEAD + b"Content-Length: 8\r\n\r\nthe shop")
    user, plan = user_of(fake, web.url)
    assert look(user, plan).word == "ok"
    line = user.webs[0].line.sock
    assert look(user, plan).word == "ok" and user.webs[0].line.sock is line
    user.webs[0].used -= users.IDLE_MOST + 1
    assert look(user, plan).word == "ok"
    assert user.webs[0].line.sock is not line
    web.socket.close()


def test_who_closes_each_connection_is_not_asked_for_ever(fake):
    web = Says(is_last=True)
    user, plan = user_of(fake, web.url, dead=web.url)
    answer = look(user, plan)
    web.socket.close()
    assert (answer.word, web.count) == ("failed", 2)
    assert "closed without an answer" in answer.why
    assert user.tally.totals()["failed"] == 1


def test_the_servers_of_a_dead_relay_fail_for_good(fake):
    port = int(unused_endpoint().partition(":")[2])
    one = relay.Relay(("127.0.0.1", port), ("127.0.0.1", 1), 0.1)
    one.start()
    url = f"http://127.0.0.1:{port}"
    user, plan = user_of(fake, url, dead=url)
    assert look(user, plan).word == "failed"
    one.stop()


@pytest.mark.parametrize("does, held", [("login", 0), ("change", 1)])
def test_what_is_sent_again_may_have_come_twice(fake, does, held):
    web = Says(is_last=True)
    user, plan = user_of(fake, web.url, fake.url, dead=web.url)
    user.at = 0
    step = plan.steps_that(does)[0]
    step.idempotent = True
    session = judge.Session("ada", ["user", "tea"])
    assert user.change(step, session, users.Jar()) == "ok"
    web.socket.close()
    name = "user" if does == "login" else "tea"
    assert len(session.facts[name].held) == held


@pytest.mark.parametrize("head, is_dead, losses", [
    (b"", True, []), (b"", False, ["lost"]),
    (b"Content-Length: 15\r\n", True, ["lost"])])
def test_a_page_without_a_length_is_whole_unless_its_server_was_out(
        fake, head, is_dead, losses):
    web = Says(HEAD + head + b"\r\nthe shop user=a", is_last=True)
    user, plan = user_of(fake, web.url, dead=is_dead and web.url)
    session = judge.Session("ada", ["user", "tea"])
    session.facts["user"].worlds = {("a", frozenset())}
    session.facts["tea"].worlds = {("2", frozenset())}
    session.facts["tea"].past = {"", "2"}
    assert user.look(session, users.Jar()) == bool(losses)
    web.socket.close()
    assert [one.word for one in user.tally.losses] == losses


# ---- cookies, and pages of nobody

@pytest.mark.parametrize("text, is_there", [
    ("S=1", True), ("S=1; Path=/; Max-Age=60", True), ("S=", False),
    ("S=1; Max-Age=0", False), ("S=1; max-age=-1", False),
    ("S=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", False),
    ("S=1; expires=Thu, 01-Jan-1970 00:00:00 GMT", False),
    ("S=1; Expires=Fri, 31 Dec 2100 00:00:00 GMT", True),
    ("S=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", True),
    ("S=1; Expires=nonsense", True)])
def test_a_cookie_goes_as_its_attributes_say(text, is_there):
    jar = users.Jar(S="0")
    jar.take([text])
    assert ("S" in jar) == is_there


@pytest.mark.parametrize("answer, losses", [
    (b"302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n", []),
    (b"200 OK\r\nContent-Length: 27\r\n\r\nwho are you? user=ada tea=7", []),
    (b"200 OK\r\nContent-Length: 19\r\n\r\nthe shop user=ada x",
     ["wrong"])])
def test_a_log_in_page_shows_that_there_is_nothing(fake, answer, losses):
    web = Says(b"HTTP/1.1 " + answer)
    user, plan = user_of(fake, web.url)
    plan.anonymous = plans.re.compile("who are you|^/login$", plans.re.M)
    plan.steps_that("look")[0].status = [200, 302]
    session = judge.Session("ada", ["user", "tea"])
    assert user.look(session, users.Jar())
    web.socket.close()
    assert [one.word for one in user.tally.losses] == losses
    assert user.tally.totals()["failed"] == 0


# ---- https

@pytest.fixture
def tls(workdir, fake):
    """The shop with TLS: (url, its certificate)."""
    cert, key = (os.path.join(workdir, n) for n in ("cert.pem", "key.pem"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=localhost", "-addext",
         "subjectAltName=DNS:localhost", "-keyout", key, "-out", cert],
        check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    fake.server.socket = context.wrap_socket(fake.server.socket,
                                             server_side=True)
    return f"https://localhost:{fake.server.server_port}", cert


def test_a_certificate_that_nobody_signed_is_named(tls, fake):
    user, plan = user_of(fake, tls[0])
    for _ in range(2):
        answer = look(user, plan)
        assert answer.word == "failed"
        assert "CERTIFICATE_VERIFY_FAILED" in answer.why or \
            "certificate verify failed" in answer.why


def test_users_speak_tls(tls, fake, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", tls[1])
    user, plan = user_of(fake, tls[0])
    user.visit()
    total = user.tally.totals()
    assert (total["failed"], total["visits"]) == (0, 1)
    assert not user.tally.losses


def test_a_handshake_that_ends_leads_to_the_next_server(fake):
    web = Says(is_last=True)
    user, plan = user_of(fake, web.url.replace("http:", "https:"), fake.url)
    user.at = 0
    for _ in range(3):
        user.at = 0
        assert look(user, plan).word == "ok"
    web.socket.close()
    assert user.tally.totals()["elsewhere"] == 3


# ---- limits

def test_that_it_has_no_files_left_is_its_own_fault(fake):
    """The limit cannot be raised; the site is not to blame."""
    path = fake.plan(fake.part("p1"))
    with open(path) as f:
        text = f.read().replace("count = 2", "count = 60")
    with open(path, "w") as f:
        f.write(text)
    done = subprocess.run(
        ["prlimit", "--nofile=30", PYTHON, COMMAND, path, "--seconds", "1",
         "--quiet"], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False, timeout=60)
    assert done.returncode == 3, done.stdout
    assert "Too many open files" in done.stdout
    assert "takes a connection" not in done.stdout


def test_users_and_relays_raise_the_limit_of_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        users.raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == hard
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ---- the end

def test_a_page_that_shows_many_losses_is_one_request():
    now = [100.0]
    tally = judge.Tally(lambda: now[0])
    tally.expect(1, 3)
    for number in range(10):
        tally.request(1, 100.0, 0.1, [], "")
    tally.lose([judge.Loss(100.1, "ada", "lost", str(n)) for n in range(4)])
    assert tally.failing_percent() == 10.0


def test_what_was_long_ago_is_forgotten_and_still_counted():
    tally = judge.Tally(lambda: 100.0)
    for begun in (100.0, 105.0, 120.0):
        tally.request(1, begun, 0.1, ["slow"], "")
    tally.forget(110.0)
    assert [e.when for e in tally.events] == [120.0]
    assert list(tally.seconds) == [20]
    assert tally.totals()["slow"] == 3


def test_who_waits_for_long_counts_as_failing():
    now = [100.0]
    tally = judge.Tally(lambda: now[0])
    tally.expect(4, 3)
    for number in range(4):
        tally.request(number, 100.0, 0.1, [], "")
        tally.ask(number, 100.5)
    assert tally.failing_percent() == 0.0
    now[0] = 104.0
    assert tally.failing_percent() == 50.0
    now[0] = 115.0
    assert tally.failing_percent() == 100.0
    for number in range(4):
        tally.request(number, 100.5, 14.5, ["failed"], "")
    assert tally.failing_percent() == 100.0
    now[0] = 130.0
    assert tally.failing_percent() == 0.0


def test_a_site_that_hangs_stops_the_drill(fake):
    fake.plan(fake.turn("hangs"), """
[faults]
at_once = 1
lasts = 60
pause = 0
stop_percent = 20
""")
    with open(fake.plan_path) as f:
        text = f.read().replace("timeout = 5", "timeout = 5\nslow = 1")
    with open(fake.plan_path, "w") as f:
        f.write(text)
    begun = time.monotonic()
    status, said = fake.drill("--seconds", "60", "--quiet")
    took = time.monotonic() - begun
    assert status == 3, said
    assert "more than 20 %" in said
    assert took < 30
    assert fake.mood == "good"


def test_users_end_when_they_are_told_to(fake):
    user, plan = user_of(fake, fake.url)
    user.pause = lambda: bool(user.crew.over.set()) or True
    user.visit()
    assert fake.requests == 1           # the log-in


def test_no_two_runs_have_users_of_one_name(fake):
    plan = plans.read_plan(fake.plan(fake.part("p1")))
    names = set()
    for _ in range(2):
        crew = users.Crew(plan, [], judge.Tally(), 1)
        one = crew.users[0]
        one.visit()
        names.add(one.name_now)
    assert len(names) == 2
