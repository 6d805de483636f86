# SPDX-License-Identifier: Apache-2.0
"""apps.py on stock httpd: mod_auth_form and a CGI over mod_session_cookie.
What mod_session itself does here is what ours must meet."""

from apps import (auth_form, log_in, log_out, pairs, password_file,
                  session_cgi, shown)
from client import Jar

COOKIE = "Session On\nSessionCookieName probe path=/"


def site(httpd, extra=COOKIE):
    server = httpd("", start=False, own=())
    server.file("private/index.html", "secret")
    server.file("index.html", "welcome")
    server.conf = auth_form(server.dir, extra) + "DirectoryIndex index.html"
    return server.start()


def test_a_login_opens_and_a_logout_closes(httpd, jar):
    server = site(httpd)
    assert server.get("/private/", jar=jar).status == 401
    assert log_in(server, jar, "ada").status == 302
    assert server.get("/private/", jar=jar).text == "secret"
    assert log_out(server, jar).status == 307
    assert server.get("/private/", jar=jar).status == 401


def test_a_wrong_password_opens_nothing(httpd, jar):
    server = site(httpd)
    assert log_in(server, jar, "ada", "wrong").status == 401
    assert server.get("/private/", jar=jar).status == 401
    server.log.expect("AH01807")


def test_a_cgi_reads_and_changes_the_session(httpd, jar):
    server = httpd("", start=False, own=())
    server.conf = session_cgi(server) + f"""
        <Location "/cgi-bin">
            {COOKIE}
        </Location>"""
    server.start()
    assert shown(server.get("/cgi-bin/show", jar=jar))["session"] == ""
    answer = server.get("/cgi-bin/change?a=1&b=x%20y", jar=jar)
    assert answer.all("X-Session-Out") == []
    seen = shown(server.get("/cgi-bin/show", jar=jar))
    assert pairs(seen["session"]) == {"a": "1", "b": "x y"}
    server.get("/cgi-bin/change?a=", jar=jar)
    seen = shown(server.get("/cgi-bin/show", jar=jar))
    assert pairs(seen["session"]) == {"b": "x y"}


def test_passwords_are_those_of_the_file(workdir):
    with open(password_file(workdir)) as f:
        assert [line.split(":")[0] for line in f] == ["ada", "grace"]
