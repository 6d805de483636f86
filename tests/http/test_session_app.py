# SPDX-License-Identifier: Apache-2.0
"""Applications meet the session: CGI, behind a proxy, through redirects."""

import subprocess

import pytest

from process import wait_until
from session_site import (APP, HERE, Site, attributes, fields, nodes_conf,
                          secret_file)

PROXIED = """
SessionHA On
Session On
SessionHeader X-Change
SessionHARequestHeader X-Session
ProxyPass /app http://127.0.0.1:{port}/cgi-bin/app
"""


@pytest.fixture
def site(httpd):
    def factory(conf="", **kw):
        return Site(httpd(f"SessionHA On\n{HERE}\n{conf}", **kw))
    return factory


@pytest.fixture
def proxied(httpd):
    """A front that keeps the session, and an application behind it."""
    def factory(conf=""):
        backend = httpd(own=(), name="backend")
        backend.cgi("app", APP)
        return httpd(PROXIED.format(port=backend.port) + conf, name="front")
    return factory


def items(server):
    """Sessions in shared memory, as mod_status says."""
    text = server.get("/status?auto").text
    lines = dict(line.split(": ", 1) for line in text.splitlines()
                 if ": " in line)
    return int(lines["SessionHAShmItems"])


STATUS = "<Location /status>\nSetHandler server-status\n</Location>\n"


@pytest.mark.every_mpm
def test_a_cgi_script_reads_and_changes_the_session(site, jar):
    s = site()
    assert s.session(jar) == {}
    s.set(jar, name="Ada Lovelace", basket="1,2;3&4=5 %41+ü")
    assert s.session(jar) == {"name": "Ada Lovelace",
                              "basket": "1,2;3&4=5 %41+ü"}
    s.set(jar, basket="", note="n")
    assert s.session(jar) == {"name": "Ada Lovelace", "note": "n"}


def test_an_application_behind_a_proxy_is_told_and_changes(proxied, jar):
    front = proxied()
    first = front.get("/app?a=1&b=x%20y", jar=jar)
    assert fields(first)["header"] == ""
    assert not first.all("X-Change"), "the client saw the session"
    assert attributes(fields(front.get("/app", jar=jar))["header"]) == {
        "a": "1", "b": "x y"}
    front.get("/app?a=", jar=jar)
    assert attributes(fields(front.get("/app", jar=jar))["header"]) == {
        "b": "x y"}


@pytest.mark.parametrize("name", ["X-Session", "x-session", "X_Session",
                                  "X.Session", "X~session"])
def test_a_client_cannot_set_the_applications_header(proxied, jar, name):
    front = proxied("HttpProtocolOptions Unsafe\n")
    forged = {name: "user=root"}
    assert fields(front.get("/app", headers=forged))["header"] == ""
    front.get("/app?user=ada", jar=jar)
    assert fields(front.get("/app", jar=jar, headers=forged))["header"] \
        == "user=ada"


def test_a_client_cannot_have_the_header_taken_out(proxied, jar):
    front = proxied()
    front.get("/app?user=ada", jar=jar)
    answer = front.get("/app", jar=jar, headers={"Connection": "X-Session"})
    assert fields(answer)["header"] == "user=ada"


def test_the_application_is_not_given_the_cookie(proxied, jar):
    front = proxied()
    front.get("/app?user=ada", jar=jar)
    answer = front.get("/app", headers={
        "Cookie": f"a=1; {jar.header()}; JSESSIONID=0000x:A; "
                  f"HASESSION=\"other\"; XHASESSION=2; b=\"x,y\""})
    assert fields(answer)["header"] == "user=ada"
    assert fields(answer)["cookie"] == \
        'a=1; JSESSIONID=0000x:A; XHASESSION=2; b="x,y"'
    assert fields(front.get("/app", jar=jar))["cookie"] == ""


ELSEWHERE = """
<Location /cgi-bin>
SessionHARequestHeader None
</Location>
"""


def test_a_session_too_large_for_a_header_is_not_told_in_part(proxied, jar):
    front = proxied(ELSEWHERE)
    front.cgi("app", APP)
    for i in range(5):
        front.get(f"/cgi-bin/app?part{i}=" + "x" * 7000, jar=jar)
    answer = front.get("/app", jar=jar)
    assert fields(answer)["header"] == ""
    front.log.expect("HA0309")
    front.log.allow("HA0415")


def test_what_the_application_could_not_be_told_is_not_saved(proxied, jar):
    front = proxied()
    front.cgi("app", APP)
    for i in range(5):
        front.get(f"/cgi-bin/app?part{i}=" + "x" * 7000, jar=jar)
    front.log.expect("HA0402.*SessionHARequestHeader")
    front.log.allow("HA0415")
    assert front.wait_access(5)[4]["save"] == "0/1 failed"
    header = fields(front.get("/cgi-bin/app", jar=jar))["header"]
    assert sorted(attributes(header)) == ["part0", "part1", "part2", "part3"]


BESIDE = """
ProxyPass / http://127.0.0.1:{port}/
<Location /shop>
Session On
SessionHA On
SessionHARequestHeader X-Session
</Location>
<Location /admin>
Session On
SessionHA On
SessionHACookieName ADMIN
SessionHARequestHeader X-Admin
</Location>
"""


@pytest.mark.parametrize("path", ["/shop", "/shop;x=1", "/admin", "/other"])
def test_no_path_lets_a_forged_header_or_our_cookies_through(httpd, path):
    backend = httpd("", own=(), name="backend", start=False)
    script = backend.cgi("app", APP.replace(
        'echo "cookie', 'echo "admin=$HTTP_X_ADMIN"\necho "cookie'))
    backend.conf = f'ScriptAliasMatch ^/.* "{script}"'
    backend.start()
    front = httpd(BESIDE.format(port=backend.port), name="front")
    answer = fields(front.get(path, headers={
        "X-Session": "user=root", "X-Admin": "user=root",
        "Cookie": "HASESSION=one; a=1; ADMIN=two"}))
    assert answer["header"] == ""
    assert answer["admin"] == ""
    assert answer["cookie"] == "a=1"


def test_a_session_beyond_the_limit_keeps_what_was_stored(site, jar):
    s = site()
    s.set(jar, keep="1")
    s.server.cgi("big", "#!/bin/sh\nprintf 'Content-Type: text/plain\\n'\n"
                 "for i in 1 2 3 4 5 6 7 8 9; do\n"
                 "printf 'X-Change: part%s=' $i\n"
                 "head -c 7000 /dev/zero | tr '\\0' x\necho\ndone\necho\n")
    long = "x" * 1100
    s.set(jar, **{long: "1"})
    s.log.expect("HA0402")
    assert s.session(jar) == {"keep": "1"}
    assert s.server.wait_access(3)[1]["save"] == "0/1 failed"


@pytest.mark.parametrize("status", ["200", "404", "500"])
def test_the_session_header_never_reaches_the_client(site, jar, status):
    s = site()
    s.server.cgi("answer", "#!/bin/sh\n"
                 f"echo 'Status: {status}'\necho 'X-Change: a=1'\n"
                 "echo 'Content-Type: text/plain'\necho\necho x\n")
    answer = s.server.get("/cgi-bin/answer", jar=jar)
    assert answer.status == int(status)
    assert not answer.all("X-Change")


def test_no_header_reaches_the_client_without_a_session(site, jar, workdir,
                                                        memcacheds):
    nodes = memcacheds(1)
    s = site(nodes_conf(nodes, secret_file(workdir))
             + "SessionHAUnknownPolicy anonymous\n"
               "<Location /cgi-bin/none>\nSession Off\n</Location>\n")
    s.server.cgi("none", APP)
    s.set(jar, a=1)
    nodes[0].kill9()
    s.log.allow("HA0212|HA0304")
    answer = s.set(jar, b=1)
    assert answer.status == 200 and not answer.all("X-Change")
    assert not answer.all("Set-Cookie"), "the cookie must be kept"
    assert fields(answer)["load"] == "unknown"
    assert fields(answer)["session"] == ""
    assert not s.server.get("/cgi-bin/none?a=1").all("X-Change")


def test_no_session_is_stored_that_holds_nothing_but_an_expiry(
        site, workdir, memcacheds):
    node = memcacheds(1)[0]
    s = site(nodes_conf([node], secret_file(workdir))
             + "SessionMaxAge 600\n")
    assert node.asked() == {}
    with s.server.client() as client:
        for _ in range(100):
            answer = client.get("/nothing")
            assert not answer.all("Set-Cookie")
    assert s.told()["load"] == "none"
    assert node.asked() == {} and node.keys() == []


def test_a_flood_without_cookies_leaves_shared_memory_empty(site, jar):
    s = site("SessionMaxAge 600\n" + STATUS)
    with s.server.client() as client:
        for _ in range(100):
            client.get("/nothing")
    assert items(s.server) == 0
    s.set(jar, a=1)
    assert items(s.server) == 1


def test_max_age_is_an_idle_limit_that_use_renews(site, jar):
    s = site("SessionMaxAge 3600\n")
    s.set(jar, a=1)
    told = s.told(jar)
    assert "expiry=" in told["session"] and attributes(told["session"]) == {
        "a": "1"}
    assert s.server.wait_access(2)[1]["save"] == "unchanged"


def test_an_idle_session_is_over_and_the_user_starts_anew(site, jar):
    s = site("SessionHAIdleLimit 1s\n" + STATUS)
    s.set(jar, a=1)
    old = jar["HASESSION"]
    assert items(s.server) == 1
    wait_until(lambda: items(s.server) == 0, 20, "end of the idle session")
    answer = s.set(jar, b=2)
    assert fields(answer)["load"] == "miss"
    assert jar["HASESSION"] != old, "an old id must not revive"
    assert s.session(jar) == {"b": "2"}
    s.log.expect("HA0303")


def test_a_session_of_limited_lifetime_ends_whatever_its_use(site, jar):
    s = site("SessionHALifetime 2s\n")
    s.set(jar, a=1)
    assert jar.attributes["HASESSION"]["max-age"] == "2"
    wait_until(lambda: s.told(jar)["load"] == "refused", 10,
               "end of the session")


# ---- one client request, several of httpd's ---------------------------------

def loads(server):
    """Sessions loaded, from the log."""
    return server.log.text.count("HA0302:")


def test_an_error_document_shares_the_session(site, jar):
    s = site("ErrorDocument 404 /cgi-bin/app\n")
    s.set(jar, a=1)
    answer = s.server.get("/not-there", jar=jar)
    assert answer.status == 404
    assert attributes(fields(answer)["session"]) == {"a": "1"}
    assert loads(s.server) == 1


def test_a_change_before_an_internal_redirect_is_kept(site, jar):
    s = site()
    s.server.cgi("first", "#!/bin/sh\necho 'Location: /cgi-bin/app'\n"
                 "echo 'X-Change: a=1'\necho\n")
    answer = s.server.get("/cgi-bin/first", jar=jar)
    assert answer.status == 200 and not answer.all("X-Change")
    assert len(answer.all("Set-Cookie")) == 1
    assert s.session(jar) == {"a": "1"}
    s.server.get("/cgi-bin/first", jar=jar)
    assert loads(s.server) == 2


def test_a_rewritten_request_shares_the_session(site, jar):
    s = site("RewriteEngine On\nRewriteRule ^/nice$ /cgi-bin/app [PT]\n"
             "<Directory />\nRewriteEngine On\n"
             "RewriteRule pretty /cgi-bin/app?c=3\n</Directory>\n")
    s.set(jar, a=1)
    assert attributes(s.told(jar, "/nice")["session"]) == {"a": "1"}
    told = s.told(jar, "/pretty")
    assert attributes(told["session"]) == {"a": "1"}
    assert s.session(jar) == {"a": "1", "c": "3"}
    assert loads(s.server) == 3


def test_a_directory_index_shares_the_session(site, jar):
    s = site("DirectoryIndex missing.html /cgi-bin/app\n")
    s.set(jar, a=1)
    assert attributes(s.told(jar, "/")["session"]) == {"a": "1"}
    assert loads(s.server) == 1


def test_sub_requests_share_the_session_and_set_one_cookie(site, jar):
    s = site("<Location /page.html>\nOptions +Includes\n"
             "SetOutputFilter INCLUDES\n</Location>\n",
             modules=["include"])
    s.server.file("page.html", "<!--#include virtual='/cgi-bin/app' -->"
                  "<!--#include virtual='/cgi-bin/app' -->")
    s.set(jar, a=1)
    answer = s.server.get("/page.html", jar=jar)
    assert answer.text.count("session=a=1\n") == 2
    assert loads(s.server) == 1
    assert not answer.all("Set-Cookie")


def test_a_failed_load_is_paid_for_once(site, jar, workdir, memcacheds):
    nodes = memcacheds(1)
    s = site(nodes_conf(nodes, secret_file(workdir))
             + "SessionHATimeBudget 400ms\nErrorDocument 503 /cgi-bin/app\n")
    s.set(jar, a=1)
    nodes[0].freeze()
    s.log.allow("HA0212|AH01816")
    answer = s.server.get("/cgi-bin/app", jar=jar)
    s.log.expect("HA0304")
    assert answer.status == 503 and answer.header("Retry-After")
    assert fields(answer)["load"] == "unknown", "the error page is served"
    assert not answer.all("Set-Cookie")
    entry = s.server.wait_access(2)[1]
    assert (entry["load"], entry["save"]) == ("unknown", "nothing")
    asked = [x for _, x in s.log.all() if "HA0304" in x or "HA0305" in x]
    assert len(asked) == 1, "the nodes were asked again"


def test_a_session_under_another_cookie_name_is_another_session(site, jar):
    s = site("<Location /cgi-bin/other>\nSessionHACookieName OTHER\n"
             "</Location>\n")
    s.server.cgi("other", APP)
    s.set(jar, a=1)
    s.server.get("/cgi-bin/other?b=2", jar=jar)
    assert set(jar) == {"HASESSION", "OTHER"}
    assert s.session(jar) == {"a": "1"}
    told = s.told(jar, "/cgi-bin/other")
    assert attributes(told["session"]) == {"b": "2"}


def test_off_in_a_virtual_host_under_on(httpd):
    server = httpd(f"""
        SessionHA On
        {HERE}
        <VirtualHost *>
            ServerName on.example
            ScriptAlias /cgi-bin/ cgi-bin/
        </VirtualHost>
        <VirtualHost *>
            ServerName off.example
            SessionHA Off
            Session Off
            ScriptAlias /cgi-bin/ cgi-bin/
        </VirtualHost>""")
    server.cgi("app", APP)
    on = server.get("/cgi-bin/app?a=1", headers={"Host": "on.example"})
    off = server.get("/cgi-bin/app?a=1", headers={"Host": "off.example"})
    assert on.all("Set-Cookie") and fields(on)["load"] == "none"
    assert not off.all("Set-Cookie") and fields(off)["load"] == ""


def test_a_request_over_http2_has_a_session(httpd, jar):
    s = Site(httpd(f"Protocols h2 h2c http/1.1\nSessionHA On\n{HERE}",
                   modules=["http2"]))
    s.set(jar, a=1)
    out = subprocess.run(
        ["curl", "-s", "-i", "--http2-prior-knowledge", "-H",
         "Cookie: " + jar.header(), s.server.url + "/cgi-bin/app?b=2"],
        capture_output=True, text=True, check=True).stdout
    assert out.startswith("HTTP/2 200")
    assert "session=a=1\n" in out
    assert s.session(jar) == {"a": "1", "b": "2"}


def test_the_header_does_not_follow_a_request_elsewhere(httpd, jar):
    backend = httpd(own=(), name="backend")
    backend.cgi("app", APP)
    backend.cgi("gone", "#!/bin/sh\nprintf 'Status: 410\\n\\n'\n")
    front = httpd(f"""
        ProxyPass /else {backend.url}/cgi-bin/app
        <Location /shop>
            SessionHA On
            Session On
            SessionHeader X-Change
            SessionHARequestHeader X-Session
            ProxyPass {backend.url}/cgi-bin
            ProxyErrorOverride On
        </Location>
        ErrorDocument 410 /else""", name="front")
    front.get("/shop/app?user=ada", jar=jar)
    assert fields(front.get("/shop/app", jar=jar))["header"] == "user=ada"
    assert fields(front.get("/shop/gone", jar=jar))["header"] == ""


def test_a_sub_request_is_not_run_as_if_nobody_was_there(
        httpd, jar, workdir, memcacheds):
    nodes = memcacheds(1)
    s = Site(httpd(f"""
        {nodes_conf(nodes, secret_file(workdir))}
        <Location /page.html>
            Options +Includes
            SetOutputFilter INCLUDES
        </Location>
        <Location /cgi-bin>
            SessionHA On
            {HERE}
        </Location>""", modules=["include"]))
    s.server.file("page.html", "<!--#include virtual='/cgi-bin/app' -->")
    s.set(jar, a=1)
    assert "session=a=1\n" in s.server.get("/page.html", jar=jar).text
    nodes[0].freeze()
    s.log.allow("HA0212|HA0304|AH01816|AH01410|unable to include")
    text = s.server.get("/page.html", jar=jar).text
    assert "session=" not in text and "error" in text


def writes(node):
    """Writes of sessions since this was called first. What web servers leave
    there for each other, at any moment, is none."""
    return node.asked().get("set", 0)


def test_use_renews_a_session_now_and_then(site, jar, workdir, memcacheds):
    node = memcacheds(1)[0]
    s = site(nodes_conf([node], secret_file(workdir))
             + "SessionMaxAge 2\nSessionExpiryUpdateInterval 1\n")
    s.set(jar, a=1)
    before = writes(node)
    wait_until(lambda: s.session(jar) == {"a": "1"}
               and writes(node) > before, 10, "touch")
    s.log.expect("HA0408")


def test_changes_renew_a_session_too(site, jar, workdir, memcacheds):
    s = site(nodes_conf(memcacheds(2), secret_file(workdir))
             + "SessionHAIdleLimit 2s\n")
    s.set(jar, a=0)
    wait_until(lambda: s.set(jar, a=len(s.server.access))
               and s.log.has("HA0408"), 10, "touch")
    assert "2 of 2" in s.log.expect("HA0408")


def test_use_does_not_renew_a_session_every_time(site, jar, workdir,
                                                 memcacheds):
    node = memcacheds(1)[0]
    s = site(nodes_conf([node], secret_file(workdir))
             + "SessionMaxAge 3600\n")
    s.set(jar, a=1)
    before = writes(node)
    for _ in range(20):
        s.told(jar)
    assert writes(node) == before
