# SPDX-License-Identifier: Apache-2.0
"""Sessions that belong to users, not to browsers."""

import base64

import pytest

from apps import password_file
from client import Jar
from session_site import (APP, HERE, Site, attributes, fields, nodes_conf,
                          secret_file)


def basic(user, password=None):
    passwords = {"ada": "lovelace", "grace": "hopper"}
    text = f"{user}:{passwords[user] if password is None else password}"
    return {"Authorization": "Basic "
            + base64.b64encode(text.encode()).decode()}


def user_conf(folder, realm="shop"):
    return f"""
        AuthType Basic
        AuthName {realm}
        AuthBasicProvider file
        AuthUserFile "{password_file(folder)}"
        Require valid-user
        SessionHAPerUser On"""


@pytest.fixture
def site(httpd, workdir):
    def factory(conf="", **kw):
        s = Site(httpd(f"""
            SessionHA On
            {HERE}
            SessionHADeltaHeader X-Delta
            {conf}
            <Location /cgi-bin/mine>{user_conf(workdir)}
            </Location>""", modules=["auth_basic"] + kw.pop("modules", []),
            **kw))
        s.server.cgi("mine", APP)
        return s
    return factory


def change(s, user, query, jar=None, path="/cgi-bin/mine"):
    answer = s.server.get(f"{path}?{query}", jar=jar, headers=basic(user))
    assert answer.status == 200 and not answer.all("Set-Cookie")
    return answer


def held(s, user, jar=None, path="/cgi-bin/mine"):
    answer = s.server.get(path, jar=jar, headers=basic(user))
    assert answer.status == 200 and not answer.all("Set-Cookie")
    return attributes(fields(answer)["session"])


@pytest.mark.every_mpm
def test_every_browser_of_a_user_has_his_session(site):
    s = site()
    assert held(s, "ada") == {}
    change(s, "ada", "a=1", Jar())
    change(s, "ada", "b=2", Jar())
    change(s, "grace", "g=3")
    assert held(s, "ada", Jar()) == {"a": "1", "b": "2"}
    assert held(s, "grace") == {"g": "3"}


def test_anonymous_sessions_stand_beside(site, jar):
    s = site()
    s.set(jar, cookie=1)
    change(s, "ada", "a=1", jar)
    assert held(s, "ada", jar) == {"a": "1"}
    assert s.session(jar) == {"cookie": "1"}
    assert set(jar) == {"HASESSION"}


def test_both_in_one_client_request(site, jar):
    s = site("<Location /page.html>\nOptions +Includes\n"
             "SetOutputFilter INCLUDES\n</Location>\n", modules=["include"])
    s.server.file("page.html", "<!--#include virtual='/cgi-bin/mine' -->"
                  "<!--#include virtual='/cgi-bin/app' -->")
    s.set(jar, cookie=1)
    change(s, "ada", "a=1", jar)
    text = s.server.get("/page.html", jar=jar, headers=basic("ada")).text
    assert "session=a=1\n" in text and "session=cookie=1\n" in text


def test_a_claimed_name_opens_no_session(site):
    s = site("ErrorDocument 401 /cgi-bin/refused\n")
    s.server.cgi("refused", APP)
    change(s, "ada", "secret=1")
    s.log.allow("AH01617|AH01618")
    for headers in (basic("ada", "wrong"), {}):
        answer = s.server.get("/cgi-bin/mine?a=evil", headers=headers)
        assert answer.status == 401
        assert "secret" not in answer.text
    assert held(s, "ada") == {"secret": "1"}


def test_where_nobody_need_log_in_there_is_no_session(site):
    s = site("<Location /cgi-bin/open>\nSessionHAPerUser On\n</Location>\n")
    s.server.cgi("open", "#!/bin/sh\necho 'X-Delta: a=1'\nprintf '\\n'\n")
    change(s, "ada", "a=2")
    answer = s.server.get("/cgi-bin/open", headers=basic("ada"))
    assert answer.status == 200 and not answer.all("Set-Cookie")
    assert "no user is known" in s.log.expect("HA0431")
    assert held(s, "ada") == {"a": "2"}


def test_an_emptied_session_can_be_filled_again(site):
    s = site()
    change(s, "ada", "a=1&b=2")
    change(s, "ada", "a=&b=")
    assert held(s, "ada") == {}
    change(s, "ada", "c=3")
    assert held(s, "ada") == {"c": "3"}


def test_a_logout_empties_and_a_rotation_changes_nothing(site, jar):
    s = site("SessionHARotateOn role\n"
             "SetEnvIf Request_URI /out session-ha-logout=1\n")
    change(s, "ada", "role=admin")
    change(s, "ada", "role=user")
    assert held(s, "ada") == {"role": "user"}
    change(s, "ada", "b=2", path="/cgi-bin/mine/out")
    assert held(s, "ada") == {}
    change(s, "ada", "c=3")
    assert held(s, "ada") == {"c": "3"}


def test_a_user_of_another_realm_or_cookie_name_is_another(site, workdir):
    s = site(f"<Location /cgi-bin/realm>{user_conf(workdir, 'office')}\n"
             f"</Location>\n<Location /cgi-bin/name>{user_conf(workdir)}\n"
             "SessionHACookieName OTHER\n</Location>\n")
    for name in ("realm", "name"):
        s.server.cgi(name, APP)
    change(s, "ada", "a=1")
    for path in ("/cgi-bin/realm", "/cgi-bin/name"):
        assert held(s, "ada", path=path) == {}
        change(s, "ada", "a=" + path[-4:], path=path)
    assert held(s, "ada") == {"a": "1"}


def test_nodes_and_logs_see_no_name_and_an_unknown_session_is_an_error(
        site, workdir, memcacheds):
    nodes = memcacheds(2)
    s = site(nodes_conf(nodes, secret_file(workdir))
             + "SessionHATimeBudget 1s\n")
    change(s, "grace", "g=1")
    for node in nodes:
        keys = [key for key in node.keys() if key.startswith("ha1:")]
        assert len(keys) == 1 and "grace" not in keys[0]
        assert b"grace" not in node.get(keys[0])
    assert "HA0403" in s.log.text
    assert not any("grace" in line for line in s.log.text.splitlines()
                   if "HA0" in line)
    for node in nodes:
        node.freeze()
    s.log.allow("HA0212|HA0304|AH01816")
    answer = s.server.get("/cgi-bin/mine?g=2", headers=basic("grace"))
    assert answer.status == 503 and answer.header("Retry-After")
