# SPDX-License-Identifier: Apache-2.0
"""Private headers: what clients say of themselves in them reaches no clone,
what the web server knows does."""

import base64
import http.client
import os
import socket
import ssl
import subprocess

import pytest

from backend import balancer
from httpd import BEGAN
from router import OWN, allow_dead, cookie, served, shop

CLAIMS = {"$WSRU": "root", "$wsra": "10.9.9.9", "$Wsis": "true",
          "$WSCC": "AAAA", "$WSnew": "x", "_WS_HAPRT_WLMVERSION": "-1",
          "_ws_other": "x", "rmcorrelator": "x", "ARM_CORRELATOR": "x",
          "zos_tran_xid": "x"}
ON = "ProxyCloneRouting On\nProxyClonePrivateHeaders On"
OURS = {"$wssc", "$wsis", "$wspr", "$wsra", "$wsrh", "$wssn", "$wssp"}


def private(clone):
    """What the clone's last request had of them."""
    return {k: v for k, v in clone.requests[-1]["headers"].items()
            if k.startswith(("$ws", "_ws_")) or k in
            ("rmcorrelator", "arm_correlator", "zos_tran_xid")}


def plain(clone):
    """An unrouted way to the same clone."""
    return f"ProxyPass /plain {clone.url}/plain\n"


def test_no_claim_of_a_client_reaches_a_clone(httpd, clones):
    apps = clones("A")
    server = httpd(shop(apps) + f"""
        LogFormat "{BEGAN} %{{$WSRU}}i %{{$WSRA}}i %{{CLONE_REASON}}e" claims
        CustomLog claims_log claims
        """, own=OWN)
    for headers in (CLAIMS, {**CLAIMS, **cookie("A")}):
        served(server.get("/", headers=headers))
        assert private(apps["A"]) == {}
    assert apps["A"].requests[-1]["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert "10 private headers" in server.log.expect("CR0151")
    assert "10.9.9.9" not in server.log.text
    # but who reads the access log sees what was tried
    assert server.wait_lines("claims_log", 2) == ["root 10.9.9.9 new",
                                                  "root 10.9.9.9 first"]


def test_other_ways_to_a_clone_are_left_alone_unless_asked(httpd, clones):
    apps = clones("A")
    claims = {k.lower(): v for k, v in CLAIMS.items()}
    without = httpd(plain(apps["A"]) + balancer(apps), own=OWN)
    beside = httpd(plain(apps["A"]) + shop(apps), own=OWN)
    never = httpd("ProxyCloneHeaderRemoval none\n" + shop(apps), own=OWN)
    always = httpd("ProxyCloneHeaderRemoval all\n" + plain(apps["A"])
                   + balancer(apps), own=OWN)
    apps["A"].behave("header $WSEP x")
    for server, path, wanted in ((without, "/plain", claims),
                                 (without, "/", claims),
                                 (beside, "/plain", claims),
                                 (beside, "/", {}),
                                 (never, "/", claims),
                                 (always, "/plain", {}),
                                 (always, "/", {})):
        answer = server.get(path, headers=CLAIMS)
        assert answer.status == 200
        assert private(apps["A"]) == wanted, (server.name, path)
        # and the same way back
        assert (answer.header("$WSEP") == "x") == bool(wanted)


def test_nothing_private_leaves_in_an_answer(httpd, clones):
    apps = clones("A")
    server = httpd(shop(apps), own=OWN)
    for name in ("$WSEP", "$wspc", "_WS_HAPRT_WLMVERSION"):
        apps["A"].behave(f"header {name} secret")
        for method in ("GET", "HEAD", "POST"):
            answer = server.request(method, "/")
            assert answer.status == 200
            assert answer.header(name) is None
            assert answer.header("X-Reason") == "new"
    apps["A"].behave("header X-Mine kept")
    assert server.get("/").header("X-Mine") == "kept"


def test_ours_say_who_the_client_is(httpd, clones):
    apps = clones("A")
    server = httpd(shop(apps, ON) + """
        <Location /login>
            AuthType Basic
            AuthName x
            AuthUserFile users
            Require valid-user
        </Location>
        """, own=OWN, modules=["auth_basic"])
    subprocess.run(["htpasswd", "-bc", os.path.join(server.dir, "users"),
                    "ada", "secret"], check=True, stderr=subprocess.DEVNULL)
    served(server.get("/", headers={**CLAIMS, "Host": "shop.example:8080"}))
    assert private(apps["A"]) == {
        "$wssc": "http", "$wsis": "false", "$wspr": "HTTP/1.1",
        "$wsra": "127.0.0.1", "$wsrh": "127.0.0.1", "$wssn": "shop.example",
        "$wssp": "8080"}
    login = base64.b64encode(b"ada:secret").decode()
    served(server.get("/login", headers={"Authorization": f"Basic {login}",
                                         "$WSRU": "root"}))
    got = private(apps["A"])
    assert (got["$wsru"], got["$wsat"]) == ("ada", "Basic")
    assert set(got) == OURS | {"$wsru", "$wsat"}


def certificate(folder):
    """(file with key and certificate, the certificate's DER)."""
    path = os.path.join(folder, "client.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=ada", "-keyout", path, "-out",
                    path + ".cert"], check=True, stderr=subprocess.DEVNULL)
    with open(path + ".cert") as cert, open(path, "a") as both:
        text = cert.read()
        both.write(text)
    return path, ssl.PEM_cert_to_DER_cert(text)


def test_ours_tell_of_tls_and_of_the_client_s_certificate(httpd, clones,
                                                          workdir):
    apps = clones("A")
    path, der = certificate(workdir)
    server = httpd(shop(apps, ON) + "SSLVerifyClient optional_no_ca\n",
                   own=OWN, tls=True)
    context = ssl._create_unverified_context()
    for expected in (None, base64.b64encode(der).decode()):
        if expected:
            context.load_cert_chain(path)
        https = http.client.HTTPSConnection("127.0.0.1", server.tls_port,
                                            context=context, timeout=10)
        https.request("GET", "/", headers={"$WSCC": "AAAA"})
        assert https.getresponse().status == 200
        cipher = https.sock.cipher()[0] if https.sock else None
        https.close()
        got = private(apps["A"])
        assert got["$wssc"] == "https"
        assert got["$wsis"] == "true"
        assert got["$wssp"] == str(server.tls_port)
        assert got["$wscs"] == (cipher or got["$wscs"]) != ""
        assert bytes.fromhex(got["$wssi"])
        assert got.get("$wscc") == expected
    server.log.allow("AH02276")       # the certificate is its own authority


def test_a_request_over_http2_is_no_exception(httpd, clones):
    apps = clones("A")
    server = httpd(shop(apps, ON) + "Protocols h2c http/1.1\n", own=OWN,
                   modules=["http2"])
    subprocess.run(["curl", "-sf", "--http2-prior-knowledge", "-H",
                    "$WSRU: root", "-H", "$wsra: 10.9.9.9", server.url],
                   check=True, stdout=subprocess.DEVNULL)
    got = private(apps["A"])
    assert got["$wsra"] == "127.0.0.1"
    assert got["$wspr"] == "HTTP/2.0"
    assert "$wsru" not in got
    server.log.allow("AH10034")       # prefork is not made for HTTP/2


def test_connection_takes_none_of_ours_away(httpd, clones):
    apps = clones("A")
    server = httpd(shop(apps, ON) + 'RequestHeader set X-Mine "kept"\n',
                   own=OWN)
    names = ", ".join(OURS)
    for value in (names, f"close, {names.upper()}", '"$WSRA"; $WSIS $WSSC',
                  ["keep-alive", "$WSRA,$WSIS"]):
        served(server.get("/", headers={"Connection": value}))
        assert set(private(apps["A"])) == OURS
    # other names are still nobody's business but the client's
    served(server.get("/", headers={"Connection": "X-Mine, $WSRA"}))
    assert "x-mine" not in apps["A"].requests[-1]["headers"]


def test_what_the_administrator_sets_stays(httpd, clones):
    apps = clones("A")
    server = httpd(shop(apps) + 'RequestHeader set $WSIS "true"\n', own=OWN)
    for claim in ({}, {"$WSIS": "false"}, {"$WSIS": "true"},
                  {"$wsis": "x", "Connection": "$WSIS"}):
        served(server.get("/", headers=claim))
        assert private(apps["A"]) == {"$wsis": "true"}
    server = httpd(shop(apps, ON) + 'RequestHeader set $WSIS "true"\n',
                   own=OWN)
    served(server.get("/", headers={"$WSIS": "false"}))
    assert private(apps["A"])["$wsis"] == "true"
    assert private(apps["A"])["$wssc"] == "http"


def test_a_trusted_proxy_speaks_for_its_clients(httpd, clones):
    apps = clones("A")
    hosts = "".join(f"""
        <VirtualHost 127.0.0.1>
            ServerName {name}
            {line}
            ProxyPass / balancer://shop/
        </VirtualHost>
        """ for name, line in (("friend", ""), ("stranger",
                               "ProxyCloneTrustedProxy None")))
    server = httpd("ProxyCloneTrustedProxy 10.0.0.0/8 127.0.0.1\n"
                   + shop(apps, ON) + hosts, own=OWN)
    claim = {"$wsra": "10.9.9.9", "$WSIS": "true"}
    served(server.get("/", headers={"Host": "friend", **claim}))
    got = private(apps["A"])
    assert got["$wsra"] == "10.9.9.9"
    assert got["$wsis"] == "true"
    assert got["$wssc"] == "http"
    assert set(got) == OURS
    assert not server.log.has("CR0151")
    served(server.get("/", headers={"Host": "stranger", **claim}))
    got = private(apps["A"])
    assert got["$wsra"] == "127.0.0.1"
    assert got["$wsis"] == "false"
    server.log.expect("CR0151")


def chunked_with_trailer(server, path, headers=""):
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                  f"Transfer-Encoding: chunked\r\n{headers}\r\n"
                  "3\r\nabc\r\n0\r\n$WSRU: root\r\nrmcorrelator: x\r\n"
                  "X-Late: y\r\n\r\n".encode())
        return b"".join(iter(lambda: s.recv(65536), b""))


@pytest.mark.parametrize("removal", ["routed", "none"])
def test_a_trailer_is_no_way_in(httpd, clones, removal):
    apps = clones("A", "B")
    apps["A"].kill9()
    server = httpd(f"ProxyCloneHeaderRemoval {removal}\nMergeTrailers On\n"
                   + shop(apps), own=OWN)
    allow_dead(server)
    answer = chunked_with_trailer(
        server, "/", "Cookie: JSESSIONID=0000s:A\r\n")
    assert b" 200 " in answer.split(b"\r\n")[0]
    assert apps["B"].requests[-1]["body_len"] == 3
    # the body was there before the second attempt: merged, it is a header
    assert apps["B"].requests[-1]["headers"].get("x-late") == "y"
    assert private(apps["B"]) == ({} if removal == "routed" else
                                  {"$wsru": "root", "rmcorrelator": "x"})


def test_a_member_is_told_of_a_session_that_is_new_to_it(httpd, clones):
    apps = clones("A", "B")
    server = httpd(shop(apps, ON + "\nProxyCloneFailures 1"), own=OWN)
    allow_dead(server)
    served(server.get("/", headers=cookie("A")))
    assert "$wsfo" not in private(apps["A"])
    apps["A"].kill9()
    # the request that finds out, those that know, and those that are at home
    for ids, reason, told in ((["A"], "failover", True),
                              (["A"], "failover", True),
                              (["A", "B"], "next", False),
                              (["B"], "first", False)):
        assert served(server.get("/", headers={"$WSFO": "true",
                                               **cookie(*ids)})) \
            == ("B", reason)
        assert (private(apps["B"]).get("$wsfo") == "true") == told, ids
