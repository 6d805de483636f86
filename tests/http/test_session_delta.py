# SPDX-License-Identifier: Apache-2.0
"""Applications set and remove single attributes by a header of the answer."""

import subprocess
import urllib.parse

import pytest

from browser import Browser
from process import wait_until
from session_site import (APP, HERE, Site, attributes, fields, nodes_conf,
                          secret_file)

# What stands in the query goes out as it is, several lines parted by ';'.
CHANGE = """#!/bin/sh
IFS=';'
set -f
for line in $QUERY_STRING; do echo "X-Delta: $line"; done
echo "Status: ${PATH_INFO#/}"
echo "Content-Type: text/plain"
echo
echo "session=$HTTP_SESSION"
echo "header=$HTTP_X_SESSION"
echo "load=$SESSION_HA_LOAD"
"""

DELTA = f"SessionHA On\nSessionHADeltaHeader X-Delta\n{HERE}"


@pytest.fixture
def site(httpd):
    def factory(conf="", **kw):
        s = Site(httpd(f"{DELTA}\n{conf}", **kw))
        s.server.cgi("change", CHANGE)
        return s
    return factory


@pytest.fixture
def proxied(httpd):
    """A front that keeps the session, and an application behind it."""
    def factory(conf=""):
        backend = httpd(own=(), name="backend")
        backend.cgi("app", APP)
        backend.cgi("change", CHANGE)
        return Site(httpd(f"""
            SessionHA On
            Session On
            SessionEnv On
            SessionHADeltaHeader X-Delta
            SessionHARequestHeader X-Session
            ProxyPass /app {backend.url}/cgi-bin
            {conf}""", name="front"))
    return factory


def change(s, text, jar=None, path="/cgi-bin/change/200", **kw):
    answer = s.server.get(f"{path}?{text}", jar=jar, **kw)
    assert not answer.all("X-Delta"), "the client sees the changes"
    return answer


STEPS = [
    ("a=1&b=x%20y+z", {"a": "1", "b": "x y z"}),
    ("-a&c=3", {"b": "x y z", "c": "3"}),
    ("c=", {"b": "x y z", "c": ""}),
    ("d=1;-b;d=2&%2Dn=%26%3D%2C%25", {"c": "", "d": "2", "-n": "&=,%"}),
    ("-C&D=3", {"d": "3", "-n": "&=,%"}),
    ("", {"d": "3", "-n": "&=,%"}),
]


@pytest.mark.every_mpm
def test_a_script_sets_and_removes_single_attributes(site, jar):
    s = site()
    for text, session in STEPS:
        assert change(s, text, jar).status == 200
        assert s.session(jar) == session
    assert s.server.wait_access(2 * len(STEPS))[0]["save"] == "1/1"


def test_so_does_an_application_behind_a_proxy(proxied, jar):
    s = proxied()
    for text, session in STEPS:
        change(s, text, jar, path="/app/change/200")
        assert attributes(fields(s.server.get("/app/app", jar=jar))
                          ["header"]) == session


def test_the_first_change_begins_a_session(site, jar):
    s = site()
    answer = change(s, "a=1", jar)
    assert len(answer.all("Set-Cookie")) == 1
    assert "private" in answer.header("Cache-Control")
    assert not change(s, "", None).all("Set-Cookie")


def test_the_last_removal_is_a_logout(site, jar):
    s = site()
    change(s, "a=1", jar)
    old = jar["HASESSION"]
    change(s, "-a", jar)
    assert "HASESSION" not in jar
    assert s.told(headers={"Cookie": f"HASESSION={old}"})["load"] == "miss"
    s.log.expect("HA0303")


def test_what_changes_nothing_is_not_written(site, jar):
    s = site()
    change(s, "a=1", jar)
    change(s, "a=1&-gone", jar)
    assert s.server.wait_access(2)[1]["save"] == "unchanged"


@pytest.mark.parametrize("text", [
    "a=2&secretvalue", "a=2&b=secret,value", "a=2&b=%00secretvalue",
    "a=2&=secretvalue", "a=2&expiry=99secretvalue", "-a;-%zz",
    "a=" + "x" * 2000 + "&" + "n" * 1100 + "=secretvalue"])
def test_a_malformed_header_changes_nothing(site, jar, text):
    s = site()
    change(s, "a=1", jar)
    answer = change(s, text, jar)
    assert answer.status == 200 and "load=hit" in answer.text
    assert s.session(jar) == {"a": "1"}
    s.log.expect("HA0430")
    ours = [line for line in s.log.text.splitlines() if "HA0" in line]
    assert not any("secret" in line for line in ours)


def test_a_session_nobody_can_tell_of_is_not_changed(site, jar, workdir,
                                                     memcacheds):
    nodes = memcacheds(1)
    s = site(nodes_conf(nodes, secret_file(workdir))
             + "SessionHAUnknownPolicy anonymous\n"
               "SessionHATimeBudget 1s\n")
    change(s, "a=1", jar)
    nodes[0].freeze()
    s.log.allow("HA0212|HA0304")
    answer = change(s, "a=2", jar)
    assert "load=unknown" in answer.text and not answer.all("Set-Cookie")
    assert "1 changes in X-Delta" in s.log.expect("HA0431")
    nodes[0].thaw()
    wait_until(lambda: s.session(jar) == {"a": "1"}, 30, "the session")


def test_changes_where_there_is_no_session_are_said_to_be_lost(site, jar):
    s = site("<Location /cgi-bin/none>\nSession Off\n</Location>\n")
    s.server.cgi("none", CHANGE)
    change(s, "a=1", jar, path="/cgi-bin/none/200")
    assert "no sessions at this place" in s.log.expect("HA0431")
    assert not jar


@pytest.mark.parametrize("status", ["404", "500", "204", "304"])
def test_an_error_can_change_the_session(site, jar, status):
    s = site()
    change(s, "a=1", jar)
    answer = change(s, "b=2", jar, path=f"/cgi-bin/change/{status}")
    assert answer.status == int(status)
    assert s.session(jar) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("conf", [
    "", "ProxyErrorOverride On",
    "ProxyErrorOverride On\nErrorDocument 404 /cgi-bin/app",
    "ProxyErrorOverride On\nErrorDocument 404 /app/app"],
    ids=["own page", "httpd's page", "local page", "proxied page"])
def test_an_error_behind_a_proxy_can_change_the_session(proxied, jar, conf):
    s = proxied(conf)
    change(s, "a=1", jar, path="/app/change/200")
    answer = change(s, "b=2", jar, path="/app/change/404")
    assert answer.status == 404
    if "ErrorDocument" in conf:
        told = fields(answer)
        assert attributes(told["header"] or told["session"]) == {
            "a": "1", "b": "2"}, "the page is told of the change"
    assert s.session(jar) == {"a": "1", "b": "2"}
    first = change(s, "c=3", path="/app/change/404")
    assert len(first.all("Set-Cookie")) == 1


def test_a_redirected_request_is_told_of_the_change(site, jar):
    s = site()
    s.server.cgi("first", "#!/bin/sh\necho 'Location: /cgi-bin/app'\n"
                 "echo 'X-Delta: a=1'\necho\n")
    answer = change(s, "", jar, path="/cgi-bin/first")
    assert attributes(fields(answer)["session"]) == {"a": "1"}
    assert s.session(jar) == {"a": "1"}


SSI = "<Location /page.html>\nOptions +Includes\n" \
      "SetOutputFilter INCLUDES\n</Location>\n"


@pytest.mark.parametrize("page", ["", "text first "])
def test_every_sub_request_changes_the_session(site, jar, page):
    s = site(SSI, modules=["include"])
    s.server.file("page.html", page
                  + "<!--#include virtual='/cgi-bin/change/200?a=1&-c' -->"
                  + "x" * 9000
                  + "<!--#include virtual='/cgi-bin/change/200?b=2' -->")
    change(s, "c=3", jar)
    change(s, "", jar, path="/page.html")
    assert s.session(jar) == {"a": "1", "b": "2"}


def test_a_late_change_does_not_undo_what_others_did_meanwhile(site, jar):
    s = site(SSI, modules=["include"])
    other = s.server.cgi("other", "#!/bin/sh\nprintf '\\n'\n")
    s.server.file("page.html", "<!--#include virtual="
                  "'/cgi-bin/change/200?a=1' --><!--#include virtual="
                  "'/cgi-bin/other' --><!--#include virtual="
                  "'/cgi-bin/change/200?b=2' -->")
    change(s, "c=3", jar)
    with open(other, "w") as f:
        f.write("#!/bin/sh\nprintf '\\n'\ncurl -s -H 'Cookie: "
                f"{jar.header()}' '{s.server.url}/cgi-bin/change/200?d=4'\n")
    change(s, "", jar, path="/page.html")
    assert s.session(jar) == {"a": "1", "b": "2", "c": "3", "d": "4"}


def test_a_session_cannot_begin_when_the_answer_has_begun(site, jar):
    s = site(SSI, modules=["include"])
    s.server.file("page.html", "x" * 9000
                  + "<!--#include virtual='/cgi-bin/change/200?a=1' -->")
    assert not change(s, "", jar, path="/page.html").all("Set-Cookie")
    assert "the answer has begun" in s.log.expect("HA0431")


def test_over_http2_too(httpd, jar):
    s = Site(httpd(f"Protocols h2 h2c http/1.1\n{DELTA}", modules=["http2"]))
    s.server.cgi("change", CHANGE)
    change(s, "a=1", jar)
    out = subprocess.run(
        ["curl", "-s", "-i", "--http2-prior-knowledge", "-H",
         "Cookie: " + jar.header(),
         s.server.url + "/cgi-bin/change/200?b=2;-a"],
        capture_output=True, text=True, check=True).stdout
    assert out.startswith("HTTP/2 200") and "x-delta" not in out.lower()
    assert s.session(jar) == {"b": "2"}


def test_both_headers_in_one_answer(site, jar):
    s = site()
    s.server.cgi("both", "#!/bin/sh\necho 'X-Delta: a=1&b='\n"
                 "echo 'X-Change: b=2&c=3'\nprintf '\\n'\n")
    s.server.get("/cgi-bin/both", jar=jar)
    assert s.session(jar) == {"a": "1", "b": "2", "c": "3"}


def test_a_place_can_take_an_inherited_header_back(site, jar):
    s = site("<Location /cgi-bin/none>\nSessionHADeltaHeader None\n"
             "</Location>\n")
    s.server.cgi("none", CHANGE)
    answer = s.server.get("/cgi-bin/none/200?a=1", jar=jar)
    assert answer.all("X-Delta") == ["a=1"] and not jar


# ---- what the application is told, in other languages ------------------------

BYTES = "".join(chr(i) for i in range(1, 256))
VECTORS = {"plain": "Ada Lovelace", "empty": "", "punctuation": "&=+%,;\"'\\",
           "unicode": "ü€😀", "line\r\nbreak": "a\r\nb\x01\x7f",
           "bytes": BYTES, BYTES.replace("=", ""): "as a name"}

SHELL = r"""
IFS='&'
for pair in $1; do
    name=${pair%%=*} value=${pair#*=}
    for text in "$name" "$value"; do
        text=${text//+/ }
        printf '%b\0' "${text//%/\\x}"
    done
done"""


def by_python(text):
    return dict(urllib.parse.parse_qsl(text, keep_blank_values=True,
                                       strict_parsing=True))


def by_shell(text):
    out = subprocess.run(["bash", "-c", SHELL, "bash", text],
                         stdout=subprocess.PIPE, check=True).stdout
    parts = [part.decode() for part in out.split(b"\0")[:-1]]
    return dict(zip(parts[::2], parts[1::2]))


def by_javascript(text, folder):
    browser = Browser(folder).start()
    try:
        return dict(browser.command("POST", "/execute/sync", {
            "script": "return [...new URLSearchParams(arguments[0])]",
            "args": [text]}))
    finally:
        browser.stop()


def test_any_language_reads_what_the_application_is_told(proxied, jar,
                                                         workdir):
    s = proxied("LimitRequestLine 32000\n")
    for name, value in VECTORS.items():
        change(s, urllib.parse.urlencode({name: value}), jar,
               path="/app/change/200")
    header = fields(s.server.get("/app/app", jar=jar))["header"]
    assert set(header) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                              "abcdefghijklmnopqrstuvwxyz"
                              "0123456789.-*_+%&=")
    assert by_python(header) == VECTORS
    assert by_shell(header) == VECTORS
    assert by_javascript(header, workdir + "/browser") == VECTORS


def test_bytes_that_are_no_text_arrive_too(proxied, jar):
    s = proxied()
    raw = bytes(range(1, 256))
    change(s, urllib.parse.urlencode({"raw": raw}), jar,
           path="/app/change/200")
    header = fields(s.server.get("/app/app", jar=jar))["header"]
    assert urllib.parse.unquote_to_bytes(
        header.removeprefix("raw=").replace("+", " ")) == raw
