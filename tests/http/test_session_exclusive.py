# SPDX-License-Identifier: Apache-2.0
"""One request of a session at a time, for applications that need it."""

import os
import threading

import pytest

from process import wait_until
from session_site import HERE, Site, fields, nodes_conf, secret_file

# Reads a number from the session, and writes one more.
COUNT = """#!/bin/sh
n=$(echo "&$HTTP_SESSION" | sed -n 's/.*[&]n=\\([0-9]*\\).*/\\1/p')
echo "X-Change: n=$((${n:-0} + 1))"
echo "Content-Type: text/plain"
echo
echo "load=$SESSION_HA_LOAD"
"""

# Says that it runs, and goes on when it is told to, by two FIFOs.
SLOW = """#!/bin/sh
echo begun > begun
cat go > /dev/null
echo "X-Change: $QUERY_STRING"
echo "Content-Type: text/plain"
echo
echo "load=$SESSION_HA_LOAD"
"""

DELTA = f"{HERE}SessionHADeltaHeader X-Delta\n"
EXCLUSIVE = f"SessionHA On\nSessionHAExclusive On\n{DELTA}" \
    "<Location /status>\nSetHandler server-status\n</Location>\n"


class Slow:
    """/cgi-bin/slow: a request that is under way until go()."""

    def __init__(self, site):
        self.site = site
        path = site.server.cgi("slow", SLOW)
        for name in ("begun", "go"):
            self.path = os.path.join(os.path.dirname(path), name)
            os.mkfifo(self.path)
            os.chmod(self.path, 0o666)
        self.answer = None
        self.thread = None

    def begin(self, jar, query="a=1", headers=None):
        self.answer = None

        def ask():
            try:
                self.answer = self.site.server.get(
                    f"/cgi-bin/slow?{query}", jar=jar, headers=headers,
                    timeout=60)
            except OSError as e:
                self.answer = e     # the server was killed
        self.thread = threading.Thread(target=ask, daemon=True)
        self.thread.start()
        self.wait()

    def wait(self):
        """Until the request runs; fails when it was answered without."""
        fifo = os.open(self.path.replace("/go", "/begun"),
                       os.O_RDONLY | os.O_NONBLOCK)

        def has_begun():
            assert self.answer is None, self.answer
            try:
                return os.read(fifo, 6) == b"begun\n"
            except BlockingIOError:
                return False

        wait_until(has_begun, 30, "begin of the slow request")
        os.close(fifo)

    def go(self):
        with open(self.path, "w") as f:
            f.write("go\n")
        if self.thread is not None:
            self.thread.join()
        return self.answer


def site_of(httpd, conf="", **kw):
    s = Site(httpd(EXCLUSIVE + conf, **kw))
    s.server.cgi("count", COUNT)
    return s


def counts(server):
    text = server.get("/status?auto").text
    lines = dict(line.split(": ", 1) for line in text.splitlines()
                 if line.startswith("SessionHAExclusive"))
    return {name.removeprefix("SessionHAExclusive"): int(n)
            for name, n in lines.items()}


def together(urls_and_jars):
    """Ask for all at the same time; the answers."""
    answers = [None] * len(urls_and_jars)

    def ask(i, server, path, jar):
        answers[i] = server.get(path, headers={"Cookie": jar.header()},
                                timeout=60)

    threads = [threading.Thread(target=ask, args=(i, *one))
               for i, one in enumerate(urls_and_jars)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_twenty_increments_on_two_web_servers_make_twenty(
        httpd, jar, workdir, memcacheds):
    conf = nodes_conf(memcacheds(3), secret_file(workdir)) \
        + "SessionHAExclusiveWait 60s\n"
    sites = [site_of(httpd, conf, name=f"web{i}") for i in range(2)]
    sites[0].set(jar, n=0)
    answers = together([(sites[i % 2].server, "/cgi-bin/count", jar)
                        for i in range(20)])
    assert [a.status for a in answers] == [200] * 20
    assert sites[0].session(jar) == {"n": "20"}
    said = [counts(s.server) for s in sites]
    assert sum(c["Waited"] for c in said) > 0
    assert all(c["Busy"] == 0 and c["Lost"] == 0 for c in said)


@pytest.mark.every_mpm
def test_so_they_do_in_shared_memory(httpd, jar):
    s = site_of(httpd, "SessionHAExclusiveWait 60s\n")
    s.set(jar, n=0)
    together([(s.server, "/cgi-bin/count", jar)] * 8)
    assert s.session(jar) == {"n": "8"}


def test_who_waits_in_vain_is_told_to_come_again(httpd, jar):
    s = site_of(httpd, "SessionHAExclusiveWait 50ms\n"
                "<Location /cgi-bin/free>\nSessionHAExclusive Off\n"
                "</Location>\n")
    s.server.cgi("free", COUNT)
    s.set(jar, n=0)
    slow = Slow(s)
    slow.begin(jar)
    answer = s.server.get("/cgi-bin/count", jar=jar)
    assert answer.status == 503 and answer.header("Retry-After") == "1"
    assert not answer.all("Set-Cookie"), "the session must be kept"
    s.log.expect("HA0433")
    assert s.server.wait_access(2)[1]["load"] == "busy"
    assert counts(s.server)["Busy"] == 1
    # Neither other sessions nor other places wait.
    assert s.server.get("/cgi-bin/count").status == 200
    assert s.server.get("/cgi-bin/free", jar=jar).status == 200
    assert slow.go().status == 200
    assert s.server.get("/cgi-bin/count", jar=jar).status == 200
    assert s.session(jar) == {"n": "2", "a": "1"}


def test_a_client_that_went_away_leaves_no_lock(httpd, jar):
    s = site_of(httpd)
    s.set(jar, n=0)
    slow = Slow(s)
    with s.server.client(timeout=60) as client:
        c = client.connection
        c.request("GET", "/cgi-bin/slow?a=1",
                  headers={"Cookie": jar.header()})
        slow.wait()
    slow.go()
    assert s.server.get("/cgi-bin/count", jar=jar).status == 200


def test_redirects_and_sub_requests_share_the_lock(httpd, jar):
    s = site_of(httpd, "SessionHAExclusiveWait 0\n"
                "<Location /page.html>\nOptions +Includes\n"
                "SetOutputFilter INCLUDES\n</Location>\n"
                "DirectoryIndex missing.html /cgi-bin/count\n",
                modules=["include"])
    s.server.file("page.html", "<!--#include virtual='/cgi-bin/app' -->"
                  "<!--#include virtual='/cgi-bin/app' -->")
    s.set(jar, n=0)
    assert s.server.get("/page.html", jar=jar).text.count("load=hit") == 2
    s.server.cgi("first", "#!/bin/sh\necho 'Location: /cgi-bin/count'\n"
                 "echo 'X-Delta: b=2'\necho\n")
    assert s.server.get("/cgi-bin/first", jar=jar).status == 200
    assert s.server.get("/", jar=jar).status == 200
    assert s.session(jar) == {"n": "2", "b": "2"}


def test_what_leads_to_such_a_place_is_read_anew(httpd, jar):
    """The redirecting request loads the session, another one changes it, and
    then the request comes to the place that is alone with it."""
    s = Site(httpd(f"SessionHA On\n{DELTA}<Location /cgi-bin/count>\n"
                   "SessionHAExclusive On\n</Location>\n"))
    s.server.cgi("count", COUNT)
    s.set(jar, n=0)
    s.server.cgi("first", f"""#!/bin/sh
curl -s -H 'Cookie: {jar.header()}' '{s.server.url}/cgi-bin/count' >/dev/null
echo 'Location: /cgi-bin/count'
echo 'X-Delta: b=2'
echo
""")
    answer = s.server.get("/cgi-bin/first", jar=jar)
    assert fields(answer)["load"] == "hit"
    assert s.session(jar) == {"n": "2", "b": "2"}


def locks(nodes):
    """(node, key) of each lock."""
    return [(n, key) for n in nodes for key in n.keys()
            if key.startswith("hl1:")]


def test_who_has_an_answer_finds_the_session_free(httpd, jar, workdir):
    """A log that takes no more lines keeps the first request from its end,
    long after its answer was sent."""
    go, taken = (os.path.join(workdir, name) for name in ("go", "taken"))
    os.mkfifo(go)
    s = site_of(httpd, f"""SessionHAExclusiveWait 0
SetEnvIf Request_URI count long-line
CustomLog "|/bin/sh -c 'cat {go}; exec cat >>{taken}'" \\
    "{'x' * 100000}" env=long-line
""")
    s.set(jar, n=0)
    try:
        assert s.server.get("/cgi-bin/count", jar=jar).status == 200
        assert s.session(jar) == {"n": "1"}
    finally:
        with open(go, "w"):
            pass
        wait_until(lambda: os.path.exists(taken)
                   and os.path.getsize(taken) > 100000, 20, "end of the line")


def test_a_lock_of_a_killed_server_runs_out(httpd, jar, workdir, memcacheds):
    nodes = memcacheds(2)
    conf = nodes_conf(nodes, secret_file(workdir)) \
        + "SessionHAExclusiveWait 0\n"
    dying, other = [site_of(httpd, conf, name=f"web{i}") for i in range(2)]
    other.set(jar, n=0)
    slow = Slow(dying)
    slow.begin(jar)
    dying.server.kill9()
    assert other.server.get("/cgi-bin/count", jar=jar).status == 503
    other.log.expect("HA0433")
    held = locks(nodes)
    assert len(held) == 2
    for node, key in held:
        assert node.ttl(key) <= 15
        node.delete(key)        # as the time would
    assert other.server.get("/cgi-bin/count", jar=jar).status == 200
    assert other.session(jar) == {"n": "1"}


def test_who_lost_the_lock_saves_nothing(httpd, jar, workdir, memcacheds):
    nodes = memcacheds(2)
    s = site_of(httpd, nodes_conf(nodes, secret_file(workdir))
                + "SessionHAExclusiveWait 0\n")
    s.set(jar, n=0)
    slow = Slow(s)
    slow.begin(jar, "n=100")
    misses = sum(n.stats()["cas_misses"] for n in nodes)
    held = locks(nodes)
    assert len(held) == 2
    for node, key in held:
        node.delete(key)
    wait_until(lambda: sum(n.stats()["cas_misses"] for n in nodes) > misses,
               20, "attempt to renew the lock")
    assert s.server.get("/cgi-bin/count", jar=jar).status == 200
    assert slow.go().status == 200
    s.log.expect("HA0434")
    assert counts(s.server)["Lost"] == 1
    assert s.session(jar) == {"n": "1"}


def test_no_node_to_ask_is_no_licence_to_go_on(httpd, jar, workdir,
                                               memcacheds):
    node = memcacheds(1)[0]
    s = site_of(httpd, nodes_conf([node], secret_file(workdir))
                + "SessionHATimeBudget 1s\n")
    s.set(jar, n=0)
    node.freeze()
    s.log.allow("HA0212|HA0304|AH01816")
    answer = s.server.get("/cgi-bin/count", jar=jar)
    assert answer.status == 503 and answer.header("Retry-After") == "5"


def test_requests_with_an_old_id_wait_for_each_other(httpd, jar):
    s = site_of(httpd, "SessionHAExclusiveWait 0\n"
                "SessionHAControlHeader X-Control\n"
                "SessionHARotateGrace 60\n")
    s.server.cgi("turn", "#!/bin/sh\necho 'X-Control: rotate'\necho\n")
    s.set(jar, n=0)
    old = {"Cookie": jar.header()}
    assert s.server.get("/cgi-bin/turn", jar=jar).status == 200
    assert jar.header() != old["Cookie"]
    slow = Slow(s)
    slow.begin(None, headers=old)
    assert s.server.get("/cgi-bin/count", headers=old).status == 503
    s.log.expect("HA0433")
    # with the new id it is another session's request
    assert s.server.get("/cgi-bin/count", jar=jar).status == 200
    assert slow.go().status == 200
    assert s.session(jar) == {"n": "1", "a": "1"}
    # two cookies with the old id are the old id
    twice = {"Cookie": old["Cookie"] + "; " + old["Cookie"]}
    slow.begin(None, headers=twice)
    assert s.server.get("/cgi-bin/count", headers=twice).status == 503
    slow.go()
    assert s.server.get("/cgi-bin/app", headers=twice).status == 200


@pytest.mark.parametrize("sick", [0, 1])
def test_a_node_that_hangs_refuses_nobody(httpd, jar, workdir, memcacheds,
                                          sick):
    """Either owner is the first that the lock is taken on."""
    nodes = memcacheds(3)
    s = site_of(httpd, nodes_conf(nodes, secret_file(workdir))
                + "SessionHAExclusiveWait 0\n")
    s.set(jar, n=0)
    owners = [n for n in nodes if n.keys()]
    assert len(owners) == 2
    s.log.allow("HA0212")
    owners[sick].freeze()
    for n in range(1, 6):
        assert s.server.get("/cgi-bin/count", jar=jar).status == 200
        assert s.session(jar) == {"n": str(n)}
