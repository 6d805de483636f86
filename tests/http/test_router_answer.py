# SPDX-License-Identifier: Apache-2.0
"""What the router sees in the answers of members, before the client does."""

import urllib.parse

import pytest

from router import OWN, allow_nobody, cookie, shop

LOUD = "debug proxy_balancer_clone:trace1"


def sets(*lines):
    """A path whose answer sets these cookies."""
    return "/?" + urllib.parse.urlencode([("set-cookie", l) for l in lines])


def seen(server):
    """What was said of answers, oldest first."""
    return [line.split("CR0210: ")[1].strip()
            for line in server.log.lines("trace1") if "CR0210" in line]


@pytest.fixture
def site(httpd, clones):
    both = clones("A", "B")
    server = httpd(shop(both), own=OWN, loglevel=LOUD)
    server.clones = both
    return server


def test_a_session_s_cookie_is_seen_once_and_with_its_member(site):
    ended = "JSESSIONID=x; Expires=Thu, 01-Dec-94 16:00:00 GMT"
    site.get(sets("JSESSIONID=0000s2:A"), headers=cookie("A"))
    site.get(sets("OTHER=1", "jsessionid=1", ended), headers=cookie("B"))
    site.get("/", headers=cookie("A"))
    site.request("HEAD", sets("JSESSIONID=0000s2:A", ended),
                 headers=cookie("A"))
    url = {k: c.url for k, c in site.clones.items()}
    assert seen(site) == [
        f"balancer://shop: {url['A']} sets 1 cookies JSESSIONID, "
        "0 of them to end it",
        f"balancer://shop: {url['B']} sets 1 cookies JSESSIONID, "
        "1 of them to end it",
        f"balancer://shop: {url['A']} sets 2 cookies JSESSIONID, "
        "1 of them to end it"]
    assert "0000s2" not in "".join(seen(site))


def test_an_answer_to_a_failed_over_request_is_its_members(site):
    site.clones["A"].stop()
    allow_nobody(site)
    site.get(sets("JSESSIONID=0000s1:A:B"), headers=cookie("A", "B"))
    line, = seen(site)
    assert site.clones["B"].url in line and "sets 1 cookies" in line


def test_what_httpd_adds_or_answers_itself_is_no_member_s(httpd, clones):
    server = httpd(
        shop(clones("A"), before='Header always add Set-Cookie JSESSIONID=0:A\n'
             'Header add Set-Cookie JSESSIONID=0:A\n'
             'RewriteEngine On\n'
             'RewriteRule ^/co - [CO=JSESSIONID:0000evil:127.0.0.1]\n'
             'ProxyErrorOverride On 404\n'), own=OWN, loglevel=LOUD)
    answer = server.get("/co", headers=cookie("A"))
    assert len(answer.all("Set-Cookie")) == 3
    assert seen(server) == []
    clone = server.get("/", headers=cookie("A"))
    assert clone.status == 200


def test_many_cookies_of_the_name_are_bounded(site):
    site.get(sets(*(f"JSESSIONID=0000s{i}:A" for i in range(20))),
             headers=cookie("A"))
    line, = seen(site)
    assert "sets 8 cookies" in line
