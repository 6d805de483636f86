# SPDX-License-Identifier: Apache-2.0
"""The helpers themselves, on stock httpd: what they promise to tests."""

import hashlib
import http.client
import os
import subprocess
import sys

import pytest

from backend import balancer
from client import Jar
from process import is_alive, is_open, wait_until

STOCK = {"own": ()}


def test_serves_a_file_and_logs_it(httpd):
    server = httpd(**STOCK)
    server.file("hello.txt", "hello")
    answer = server.get("/hello.txt")
    assert (answer.status, answer.body) == (200, b"hello")
    assert server.wait_access(1)[0]["path"] == "/hello.txt"


def test_runs_a_cgi_script(httpd):
    server = httpd(**STOCK)
    server.cgi("env", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'\n"
                      "echo $QUERY_STRING\n")
    assert server.get("/cgi-bin/env?a=b").text == "a=b\n"


@pytest.mark.parametrize("mpm", ["event", "worker", "prefork"])
def test_every_mpm_starts_and_restarts(httpd, mpm):
    server = httpd(mpm=mpm, **STOCK)
    server.file("x", "1")
    assert server.get("/x").body == b"1"
    server.graceful("Redirect 410 /x")
    wait_until(lambda: server.get("/x").status == 410, 5, "new configuration")


def test_tls_and_http2_can_be_asked_for(httpd):
    server = httpd("Protocols h2 http/1.1", tls=True, modules=["http2"],
                   **STOCK)
    server.file("x", "1")
    assert server.get("/x", tls=True).body == b"1"


def test_configtest_tells_the_fault_and_changes_nothing(httpd):
    server = httpd(**STOCK)
    code, text = server.configtest("ProxyTimeout never")
    assert code != 0 and "Proxy Timeout must" in text
    assert server.configtest() == (0, "Syntax OK\n")
    server.graceful()


def test_a_server_that_cannot_start_says_why(httpd):
    server = httpd("NoSuchDirective", start=False, **STOCK)
    assert "NoSuchDirective" in server.refuses_to_start()


def test_kill9_ends_all_children_and_start_brings_it_back(httpd):
    server = httpd(**STOCK)
    pids = server.children()
    assert len(pids) >= 2
    server.kill9()
    # the kernel ends killed children in its own time
    wait_until(lambda: not is_open(server.port), 5, "the port closed")
    wait_until(lambda: not any(is_alive(p) for p in pids), 5, "all dead")
    server.start()
    assert server.get("/").status in (200, 403, 404)


def test_freeze_stops_answers_and_thaw_gives_them(httpd):
    server = httpd(**STOCK)
    server.file("x", "1")
    server.freeze()
    with pytest.raises(TimeoutError):
        server.get("/x", timeout=0.2)
    server.thaw()
    assert server.get("/x").status == 200


def test_expect_finds_each_line_once(httpd):
    server = httpd("ProxyPass /dead http://127.0.0.1:1/", **STOCK)
    assert server.get("/dead").status == 503
    line = server.log.expect("AH00957")
    assert "attempt to connect" in line
    with pytest.raises(AssertionError):
        server.log.expect("AH00957", timeout=0.2)
    server.log.allow("AH01114")


@pytest.mark.parametrize("conf, path, fails", [
    ("", "/", False),
    ("ProxyPass /dead http://127.0.0.1:1/", "/dead", True),
])
def test_an_unannounced_warning_fails_the_test(workdir, conf, path, fails):
    test = os.path.join(workdir, "test_inner.py")
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(workdir, "conftest.py"), "w") as f:
        f.write(f"import sys\nsys.path.insert(0, {here!r})\n"
                "import importlib.util as u\n"
                f"s = u.spec_from_file_location('c', {here!r} + "
                "'/conftest.py')\n"
                "m = u.module_from_spec(s)\ns.loader.exec_module(m)\n"
                "httpd, workdir, clones, memcacheds = "
                "m.httpd, m.workdir, m.clones, m.memcacheds\n")
    with open(test, "w") as f:
        f.write(f"def test_inner(httpd):\n"
                f"    httpd({conf!r}, own=()).get({path!r})\n")
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", "-p",
                           "no:cacheprovider", test], text=True,
                          stdout=subprocess.PIPE, cwd=workdir)
    assert (done.returncode != 0) == fails, done.stdout
    assert ("unannounced lines" in done.stdout) == fails, done.stdout


def test_a_line_httpd_did_not_write_counts_as_bad(httpd):
    server = httpd(**STOCK)
    with open(server.log.path, "a") as f:
        f.write("apache2: store.c:12: assertion failed\n")
    assert len(server.leftovers()) == 1
    server.log.expect("assertion failed")
    assert server.leftovers() == []


def test_a_race_of_any_stop_counts_for_none_and_of_no_stop_counts(httpd):
    server = httpd(mpm="event", **STOCK)

    def complain():
        with open(server.log.path, "a") as f:
            f.write("[now] [mpm_event:error] [pid 1:tid 1] AH03093: raced\n")

    class Stopping(type(server)):
        def signal_group(self, number):
            complain()
            super().signal_group(number)

    for _ in range(2):
        server.__class__ = Stopping
        server.stop()
        server.__class__ = Stopping.__base__
        server.start()
    assert server.log.text.count("raced") >= 2
    assert server.leftovers() == []
    complain()
    server.stop()
    assert len(server.leftovers()) == 1
    server.log.allow("AH03093")


def test_memcached_comes_back_empty_on_its_port(memcacheds):
    node, other = memcacheds(2, names=["east", "west"])
    assert (node.name, other.name) == ("east", "west")
    node.command("set k/1 0 0 1\r\nx", (b"STORED\r\n",))
    assert node.keys() == ["k/1"] and node.get("k/1") == b"x"
    assert other.keys() == []
    node.kill9()
    assert not is_open(node.port)
    node.start()
    assert node.keys() == [] and node.stats()["curr_items"] == 0


def test_memcached_freezes_and_listens_on_unix_sockets(memcacheds):
    node = memcacheds(1, unix=True)[0]
    assert node.address.startswith("unix:/")
    assert node.stats()["pid"] == node.pid
    node.freeze()
    with pytest.raises(TimeoutError):
        node.command("stats", timeout=0.2)
    node.thaw()
    assert node.get("none") is None


def test_a_clone_names_itself_and_appends_itself(httpd, clones, jar):
    pair = clones("A", "B")
    server = httpd(balancer({"A": pair["A"]}), **STOCK)
    assert server.get("/x", jar=jar).json["clone"] == "A"
    first = jar["JSESSIONID"]
    assert first.startswith("0000") and first.endswith(":A")
    assert server.get("/x", jar=jar).all("Set-Cookie") == []
    server.graceful(balancer({"B": pair["B"]}))
    wait_until(lambda: server.get("/x", jar=jar).json["clone"] == "B")
    assert jar["JSESSIONID"] == first + ":B"


@pytest.mark.parametrize("profile, after", [
    ("tomcat", "abc.A"), ("weblogic", "abc!A"),
    ("wildfly-ranked", "abc.Z.A"), ("websphere-plus", "abc+Z+A"),
])
def test_profiles_write_their_own_cookies(httpd, clones, profile, after):
    server = httpd(balancer(clones("A", profile=profile)), **STOCK)
    sent = after.replace("A", "Z") if after.count("Z") == 0 else after[:-2]
    jar = Jar(JSESSIONID=sent)
    server.get("/", jar=jar)
    assert jar["JSESSIONID"] == after


@pytest.mark.parametrize("size", [0, 1000, 100000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_clone_records_what_it_got_even_when_killed(httpd, clones, size,
                                                      chunked):
    a = clones("A")["A"]
    server = httpd(balancer({"A": a}), **STOCK)
    body = os.urandom(size)
    answer = server.post("/p?q=1", body=body, chunked=chunked)
    assert answer.json["body_sha"] == hashlib.sha256(body).hexdigest()
    a.kill9()
    seen = a.requests[-1]
    assert (seen["method"], seen["path"]) == ("POST", "/p?q=1")
    assert (seen["body_len"], seen["body_sha"]) == (
        size, answer.json["body_sha"])
    a.start()
    server.log.allow("AH00957|AH01114")
    assert a.requests[-1] == seen


def test_a_clone_misbehaves_as_told(clones):
    a = clones("A")["A"]
    from client import Client
    for mode in ("close", "close-early", "reset", "garbage"):
        a.behave(mode)
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            Client(a.port).get("/")
    a.behave("half")
    with pytest.raises(http.client.IncompleteRead):
        Client(a.port).get("/")
    a.behave("status 418")
    assert Client(a.port).get("/").status == 418
    a.behave("hang")
    with pytest.raises(TimeoutError):
        Client(a.port, timeout=0.2).get("/")
    a.behave("normal")
    assert Client(a.port).get("/").status == 200
    with pytest.raises(ValueError):
        a.behave("typo")


def test_the_application_reads_and_changes_a_session(httpd, clones):
    """The header pair of mod_session, with stock mod_session_cookie."""
    a = clones("A")["A"]
    server = httpd(f"""
        <Location /app>
            Session On
            SessionCookieName probe path=/
            SessionHeader X-Session-Out
            SessionEnv On
            RequestHeader set X-Session "%{{HTTP_SESSION}}e"
        </Location>
        ProxyPass /app {a.url}/app
        """, **STOCK)
    jar = Jar()
    server.get("/app/set?user=ada&basket=2", jar=jar)
    assert "user=ada" in jar["probe"]
    server.get("/app/unset?basket", jar=jar)
    assert "user=ada" in jar["probe"] and "basket" not in jar["probe"]
