# SPDX-License-Identifier: Apache-2.0
"""How many copies are enough, and what is answered when they are not."""

import subprocess

import pytest

from client import raw
from process import wait_until
from session_site import (APP, HERE, Site, fields, login, login_conf,
                          nodes_conf, secret_file)

COPIES = "SessionHACopiesHeader X-Copies\n"
FAIL = "SessionHASaveFailurePolicy fail\n" + COPIES


@pytest.fixture
def cluster(httpd, workdir, memcacheds):
    """cluster(n, conf) -> a site on n memcacheds, as site.nodes."""
    def factory(n, conf="", **kw):
        nodes = memcacheds(n)
        s = Site(httpd(f"{nodes_conf(nodes, secret_file(workdir))}\n"
                       f"SessionHA On\n{HERE}\n{conf}", **kw))
        s.nodes = nodes
        s.log.allow("HA0212|HA0211|HA0213")
        return s
    return factory


def save_word(site, jar, **changes):
    answer = site.set(jar, **changes)
    return answer.status, answer.header("X-Copies")


@pytest.mark.parametrize("acks, one_away, two_away", [
    ("all", "2/3 degraded", "1/3 degraded"),
    ("one", "2/3 degraded", "1/3 degraded"),
    ("majority", "2/3 degraded", "1/3 failed"),
    ("3", "2/3 failed", "1/3 failed"),
])
def test_what_is_needed_decides_what_is_said(cluster, jar, acks, one_away,
                                             two_away):
    s = cluster(3, f"SessionHAReplicas 3\nSessionHAWriteAcks {acks}\n{COPIES}")
    s.log.allow("HA0410|HA0411")
    assert save_word(s, jar, a=1) == (200, "3/3")
    s.nodes[0].kill9()
    assert save_word(s, jar, a=2) == (200, one_away)
    s.nodes[1].kill9()
    assert save_word(s, jar, a=3) == (200, two_away)
    assert [e["save"] for e in s.server.wait_access(3)] == [
        "3/3", one_away, two_away]
    assert s.log.has("HA0410") == ("failed" in one_away + two_away)
    assert s.session(jar) == {"a": "3"}


def test_too_few_is_said_once(cluster, jar):
    s = cluster(2, f"SessionHAWriteAcks 2\n{COPIES}")
    s.set(jar, a=0)
    s.nodes[0].kill9()
    for i in range(1, 4):
        assert save_word(s, jar, a=i) == (200, "1/2 failed")
    s.log.expect("HA0410.*on 1 of 2 nodes and needs 2; the answer goes out")
    assert len([x for x in s.log.text.splitlines() if "HA0410" in x]) == 1


PAGES = """
ProxyPass /proxied http://127.0.0.1:{port}/cgi-bin/app
ProxyPass /big http://127.0.0.1:{port}/cgi-bin/big
ErrorDocument 503 /sorry.html
"""

# httpd logs an error when a script ends before it was given all of the body.
SMALL = APP.replace("#!/bin/sh\n", "#!/bin/sh\ncat > /dev/null\n", 1)

BIG = """#!/bin/sh
cat > /dev/null
echo "Content-Type: text/plain"
echo "Content-Encoding: identity"
echo "X-Change: $QUERY_STRING"
echo
i=0
while [ $i -lt 3000 ]; do
    echo "a line of a page that nobody should see, number $i"
    i=$((i + 1))
done
"""


@pytest.fixture
def failing(cluster, httpd, jar):
    """A site that keeps a session, and then can save nothing any more."""
    backend = httpd(own=(), name="backend")
    backend.cgi("app", SMALL)
    backend.cgi("big", BIG)
    s = cluster(2, "SessionHAWriteAcks 2\n" + FAIL
                + PAGES.format(port=backend.port))
    s.backend = backend
    s.server.cgi("app", SMALL)
    s.server.cgi("big", BIG)
    s.server.file("sorry.html", "come back later")
    s.set(jar, a=1)
    s.nodes[0].kill9()
    s.log.allow("HA0410")
    return s


def expect_sorry(answer):
    assert answer.status == 503, answer
    assert answer.text.strip() == "come back later"
    assert int(answer.header("Retry-After")) > 0
    assert answer.header("X-Copies") == "1/2 failed"
    for name in ("Content-Encoding", "X-Change", "Set-Cookie"):
        assert not answer.all(name), name


WAYS = [(method, path) for method in ("GET", "POST") for path in (
    "/cgi-bin/app", "/cgi-bin/big", "/proxied", "/big")]


@pytest.mark.every_mpm
def test_a_failed_save_is_a_503_in_the_answers_place(failing, jar):
    s = failing
    cookie = dict(jar)
    assert s.server.get("/proxied", jar=jar).header("X-Copies") == "1/2", \
        "a request that changes nothing is served"
    for number, (method, path) in enumerate(WAYS, 2):
        body = b"x" * 20000 if method == "POST" else None
        expect_sorry(s.server.request(method, f"{path}?a={number}", jar=jar,
                                      body=body))
    assert dict(jar) == cookie


def test_nothing_follows_the_error_on_the_wire(failing, jar):
    s = failing
    for number, path in ((2, "cgi-bin/big"), (3, "big"), (4, "proxied")):
        got = raw(s.server.port, (
            f"GET /{path}?a={number} HTTP/1.1\r\nHost: x\r\n"
            f"Cookie: {jar.header()}\r\n\r\n").encode())
        head, body = got.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert f"content-length: {len(body)}".encode() in head.lower()
        assert body.strip() == b"come back later"


def test_an_error_without_an_error_document_is_httpds_own(cluster, jar):
    s = cluster(2, "SessionHAWriteAcks 2\n" + FAIL)
    s.set(jar, a=1)
    s.nodes[0].kill9()
    s.log.allow("HA0410")
    answer = s.set(jar, a=2)
    assert answer.status == 503 and "Service Unavailable" in answer.text
    assert "session=" not in answer.text


def test_a_login_that_is_not_saved_is_no_login(cluster, jar, workdir):
    s = cluster(1, f"{login_conf(workdir)}\n{FAIL}\n")
    s.server.file("private/index.html", "the vault")
    s.nodes[0].kill9()
    answer = login(s.server, jar)
    assert answer.status == 503
    assert not answer.all("Location") and not answer.all("Set-Cookie")
    s.log.expect("HA0401.*an error is answered")
    assert s.server.get("/private/", jar=jar).status == 401


def test_a_logout_that_is_not_saved_is_told(cluster, jar):
    s = cluster(1, FAIL)
    s.set(jar, a=1)
    s.nodes[0].freeze()
    s.log.allow("HA0304")
    answer = s.set(jar, a="")
    assert answer.status == 503
    s.nodes[0].thaw()


def test_what_breaks_a_limit_is_a_500_and_no_retry(cluster, jar):
    s = cluster(1, FAIL)
    s.set(jar, a=1)
    answer = s.set(jar, **{"n" * 1100: 1})
    assert answer.status == 500 and not answer.all("Retry-After")
    s.log.expect("HA0402.*what was stored before stays, an error")
    assert s.session(jar) == {"a": "1"}


LIAR = """#!/bin/sh
echo "Content-Type: text/plain"
echo "X-Copies: 9/9"
echo "Status: $QUERY_STRING"
echo
echo "copies=$HTTP_X_COPIES"
"""


@pytest.mark.parametrize("path", ["/cgi-bin/liar", "/liar"])
def test_nobody_else_says_how_many_copies(cluster, httpd, jar, path):
    backend = httpd(own=(), name="backend")
    backend.cgi("liar", LIAR)
    s = cluster(2, COPIES + "ProxyPass /liar http://127.0.0.1:"
                f"{backend.port}/cgi-bin/liar\n")
    s.server.cgi("liar", LIAR)
    for status in (200, 404):
        answer = s.server.get(f"{path}?{status}", headers={"X-Copies": "8/8"})
        assert answer.status == status and not answer.all("X-Copies")
        assert fields(answer)["copies"] == ""
    s.set(jar, a=1)
    for status in (200, 404):
        answer = s.server.get(f"{path}?{status}", jar=jar)
        assert answer.all("X-Copies") == ["2/2"]


def test_over_http2_a_failed_save_is_a_503(cluster, jar):
    s = cluster(2, f"SessionHAWriteAcks 2\n{FAIL}Protocols h2c http/1.1\n",
                modules=["http2"])
    s.server.cgi("big", BIG)
    s.set(jar, a=1)
    s.nodes[0].kill9()
    s.log.allow("HA0410")
    said = subprocess.run(
        ["curl", "-s", "-i", "--http2-prior-knowledge", "-H",
         f"Cookie: {jar.header()}", f"{s.server.url}/cgi-bin/big?a=2"],
        capture_output=True, text=True, timeout=20, check=True).stdout
    assert said.startswith("HTTP/2 503")
    assert "x-copies: 1/2 failed" in said and "retry-after:" in said
    assert "a line of a page" not in said
    assert said.rstrip().endswith("</html>")
