# SPDX-License-Identifier: Apache-2.0
"""CLONE_DECISION: why a request went where it went, without a word of what
its client sent."""

import json
import os
import re

import pytest

from httpd import BEGAN
from router import OWN, Manager, allow_nobody, cookie, shop

SHOWN = f"""
    Header always set X-Decision "%{{CLONE_DECISION}}e"
    Header always set X-Json "%{{CLONE_DECISION_JSON}}e" \\
        env=CLONE_DECISION_JSON
    LogFormat "{BEGAN} %{{CLONE_DECISION}}e" decisions
    CustomLog decisions_log decisions
"""


def logged(server, count):
    """The lines of routed requests, once there are that many; times gone."""
    return [without_times(line)
            for line in server.wait_lines("decisions_log", count)]


def without_times(line):
    """And without the value of tags, which nobody can foretell."""
    line = re.sub(r":\d+(?=,|$)", "", line)
    return re.sub(r"\b[0-9a-f]{8}\b", "TAG", line)


def test_each_decision_reads_as_documented(httpd, clones):
    apps = clones("A", "B")
    server = httpd(shop(apps, members="retry=60") + SHOWN, own=OWN)
    steps = [
        ("/", {}, "session=-;list=-;members=A,B;why=new;tried=A:200"),
        ("/", cookie("A"),
         "session=TAG@cookie;list=A;members=A,B;why=first;tried=A:200"),
        ("/x;jsessionid=0000s1:B", {},
         "session=TAG@url;list=B;members=A,B;why=first;tried=B:200"),
        ("/", cookie("X", "B", "A"),
         "session=TAG@cookie;list=?TAG,B,A;members=A,B;why=next;tried=B:200"),
        ("/", cookie("nobody"), None),
        ("/", cookie(), None),
    ]
    for path, headers, wanted in steps:
        answer = server.get(path, headers=headers)
        if wanted is None:
            home = answer.json["clone"]
            listed = "?TAG" if headers == cookie("nobody") else "-"
            wanted = (f"session=TAG@cookie;list={listed};members=A,B;"
                      f"why=unknown;tried={home}:200")
        # the headers go out before it is known how the attempt ends
        assert without_times(answer.header("X-Decision")) == \
            wanted.replace(":200", ":-")
        assert logged(server, 1)[-1] == wanted
        os.truncate(os.path.join(server.dir, "decisions_log"), 0)


def test_attempts_that_fail_are_told_with_their_reason(httpd, clones):
    apps = clones("A", "B", "C")
    server = httpd("ProxyCloneFailures 1\n"
                   + shop(apps, members="retry=60") + SHOWN, own=OWN)
    allow_nobody(server)
    Manager(server).set(apps["C"], N=1)
    apps["A"].kill9()
    assert server.get("/", headers=cookie("A", "B")).status == 200
    assert server.get("/", headers=cookie("A", "B")).status == 200
    apps["B"].kill9()
    apps["C"].kill9()
    answer = server.get("/", headers=cookie("B", "C"))
    assert answer.status == 503
    lines = logged(server, 3)
    assert lines[0] == ("session=TAG@cookie;list=A,B;members=A!et,B,C!n;"
                        "why=next;tried=A:unreached,B:200")
    assert lines[1].endswith(";why=next;tried=B:200")
    assert ";tried=B:unreached,C:unreached" in lines[2]
    assert without_times(answer.header("X-Decision")) == lines[2]


def test_an_attempt_that_reached_a_member_tells_what_went_wrong(httpd,
                                                               clones):
    apps = clones("A", "B")
    apps["A"].behave("close")
    server = httpd(shop(apps) + SHOWN, own=OWN)
    allow_nobody(server)
    for tag in ("AH01102", "AH00898", "AH01110", "AH10212"):
        server.log.allow(tag)
    assert server.get("/", headers=cookie("A", "B")).json["clone"] == "B"
    assert logged(server, 1)[0].endswith(";tried=A:lost,B:200")


def test_a_tag_stands_for_one_session_on_one_server(httpd, clones):
    apps = clones("A")
    conf = shop(apps) + SHOWN
    server = httpd(conf, own=OWN)
    other = httpd(conf, own=OWN)

    def tag(server, session, version="0000"):
        answer = server.get("/", headers=cookie("A", session=session,
                                                version=version))
        return re.match(r"session=([0-9a-f]{8})@cookie;",
                        answer.header("X-Decision")).group(1)

    first = tag(server, "secretsession")
    assert tag(server, "secretsession", "0007") == first
    assert tag(server, "othersession") != first
    assert tag(other, "secretsession") != first
    server.graceful()
    assert tag(server, "secretsession") == first


def test_nothing_that_a_client_sent_is_told(httpd, clones):
    apps = clones("A")
    server = httpd("ProxyCloneExplain On\n" + shop(apps) + SHOWN, own=OWN)
    nasty = '0000secretsession:tokensecret:a"b\\c:<i>:%0d%0ax:' + ":".join(
        "long" * 40 for _ in range(40))
    answer = server.get("/", headers={"Cookie": f"JSESSIONID={nasty}"})
    assert answer.status == 200
    line = server.log.expect("CR0240")
    text = (server.wait_lines("decisions_log", 1)[0]
            + answer.header("X-Decision") + line)
    for secret in ("secretsession", "tokensecret", "longlong", "<i>", "a\"b"):
        assert secret not in text
    assert len(answer.header("X-Decision")) < 1024
    assert json.loads(answer.header("X-Json"))["list_more"] == 0
    assert len(json.loads(answer.header("X-Json"))["list"]) == 32


def test_json_is_for_requests_that_match(httpd, clones):
    apps = clones("A", "B")
    server = httpd("""ProxyCloneExplain "%{HTTP:X-Explain} == 'please'"
        """ + shop(apps, "ProxyCloneRouting On") + SHOWN + """
        <VirtualHost 127.0.0.1>
            ServerName usual
            ProxyPass / balancer://shop/
        </VirtualHost>
        <VirtualHost 127.0.0.1>
            ServerName quiet
            ProxyCloneExplain Off
            ProxyPass / balancer://shop/
        </VirtualHost>
        """, own=OWN)
    asked = {"X-Explain": "please", **cookie("A", "X")}
    assert server.get("/", headers=cookie("A")).header("X-Json") is None
    assert server.get("/", headers={"Host": "quiet", **asked}) \
        .header("X-Json") is None
    assert not server.log.has("CR0240")
    answer = server.get("/", headers=asked)
    told = json.loads(answer.header("X-Json"))
    assert told["list"][0] == "A" and told["list"][1].startswith("?")
    assert told["members"] == [{"name": "A", "state": []},
                               {"name": "B", "state": []}]
    assert told["why"] == "first"
    assert told["tried"] == [{"member": "A", "end": "-",
                              "ms": told["tried"][0]["ms"]}]
    assert answer.header("Vary") is None
    line = server.log.expect("CR0240")
    final = json.loads(line[line.index("{"):])
    assert final["tried"][0]["end"] == "200"
    assert final["session"] == told["session"]
    assert ":info]" in line


def test_an_expression_sees_how_it_ended(httpd, clones):
    apps = clones("A")
    server = httpd("""ProxyCloneExplain "%{REQUEST_STATUS} -ge 500"
        """ + shop(apps) + SHOWN, own=OWN)
    allow_nobody(server)
    assert server.get("/", headers=cookie("A")).header("X-Json") is None
    apps["A"].behave("status 500")
    answer = server.get("/", headers=cookie("A"))
    assert json.loads(answer.header("X-Json"))["tried"][0]["member"] == "A"
    assert '"end":"500"' in server.log.expect("CR0240")
    apps["A"].kill9()
    assert server.get("/", headers=cookie("A")).status == 503
    assert '"end":"unreached"' in server.log.expect("CR0240")


def test_the_log_s_level_follows_a_request(httpd, clones):
    server = httpd(shop(clones("A")) + """
        <Location /loud>
            LogLevel proxy_balancer_clone:debug
        </Location>
        <If "%{HTTP:X-Trace} == 'yes'">
            LogLevel proxy_balancer_clone:debug
        </If>
        """, own=OWN, loglevel="warn")
    assert server.get("/quiet").status == 200
    assert server.get("/loud").status == 200
    server.log.expect("CR0201")
    assert server.get("/quiet", headers={"X-Trace": "no"}).status == 200
    assert server.get("/quiet", headers={"X-Trace": "yes"}).status == 200
    server.log.expect("CR0201")
    assert server.get("/quiet").status == 200
    assert len(re.findall("CR0201", server.log.text)) == 2


@pytest.mark.parametrize("count", [33, 80])
def test_a_large_balancer_is_told_in_bounds(httpd, clones, count):
    apps = clones("A")
    many = "\n".join(f"BalancerMember http://127.0.0.1:{n + 1} "
                     f"route=member-with-a-long-name-{n}"
                     for n in range(count - 1))
    server = httpd("ProxyCloneExplain On\n"
                   + shop(apps, "ProxyCloneRouting On\n" + many) + SHOWN,
                   own=OWN)
    answer = server.get("/", headers=cookie("A"))
    text = answer.header("X-Decision")
    told = json.loads(answer.header("X-Json"))
    shown = re.search(r";members=(.*),\+(\d+);", text)
    assert len(shown.group(1).split(",")) + int(shown.group(2)) == count
    assert len(told["members"]) + told["members_more"] == count
    assert len(text) < 1024 and len(answer.header("X-Json")) < 4096
