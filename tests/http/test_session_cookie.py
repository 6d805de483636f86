# SPDX-License-Identifier: Apache-2.0
"""The session cookie: its attributes, and what is refused without I/O."""

import base64

import pytest

from client import Jar
from session_site import HERE, Site, nodes_conf, secret_file


@pytest.fixture
def site(httpd):
    def factory(conf="", **kw):
        return Site(httpd(f"SessionHA On\n{HERE}\n{conf}", **kw))
    return factory


@pytest.fixture
def kept(site, workdir, memcacheds):
    """A site on one memcached that counts what it is asked."""
    node = memcacheds(1)[0]
    s = site(nodes_conf([node], secret_file(workdir)))
    s.node = node
    return s


def attributes_of(site, conf="", tls=False, **kw):
    jar = Jar()
    site(conf, tls=tls, **kw).server.get("/cgi-bin/app?a=1", jar=jar, tls=tls)
    (name, found), = jar.attributes.items()
    return name, found


def test_attributes_are_safe_unless_said_otherwise(site):
    assert attributes_of(site) == (
        "HASESSION", {"path": "/", "httponly": True, "samesite": "Lax"})


@pytest.mark.every_mpm
def test_a_cookie_set_over_tls_is_secure(site):
    assert attributes_of(site, tls=True) == (
        "HASESSION", {"path": "/", "httponly": True, "secure": True,
                      "samesite": "Lax"})


@pytest.mark.parametrize("conf, name, changed", [
    ("SessionHACookieName shop", "shop", {}),
    ("SessionHACookiePath /cgi-bin", "HASESSION", {"path": "/cgi-bin"}),
    ("SessionHACookieDomain example.com", "HASESSION",
     {"domain": "example.com"}),
    ("SessionHACookieSameSite Strict", "HASESSION", {"samesite": "Strict"}),
    ("SessionHACookieSameSite None", "HASESSION",
     {"samesite": "None", "secure": True}),
    ("SessionHACookieSecure On", "HASESSION", {"secure": True}),
    ("SessionHACookieSecure Off", "HASESSION", {}),
    ("SessionHACookieHttpOnly Off", "HASESSION", {"httponly": None}),
    ("SessionHALifetime 1h", "HASESSION", {"max-age": "3600"}),
])
def test_each_attribute_can_be_set(site, conf, name, changed):
    wanted = {"path": "/", "httponly": True, "samesite": "Lax", **changed}
    wanted = {k: v for k, v in wanted.items() if v is not None}
    assert attributes_of(site, conf) == (name, wanted)


def test_secure_off_holds_over_tls(site):
    assert "secure" not in attributes_of(site, "SessionHACookieSecure Off",
                                         tls=True)[1]


def test_the_cookie_is_sent_once_and_not_again(site, jar):
    s = site("SessionMaxAge 600\n")
    assert len(s.set(jar, a=1).all("Set-Cookie")) == 1
    assert not s.set(jar, a=2).all("Set-Cookie")
    assert not s.server.get("/cgi-bin/app", jar=jar).all("Set-Cookie")


def test_an_ordinary_change_keeps_the_id(site, jar):
    s = site()
    s.set(jar, a=1)
    first = jar["HASESSION"]
    for i in range(20):
        s.set(jar, a=i)
    assert jar["HASESSION"] == first
    assert s.session(jar) == {"a": "19"}


@pytest.mark.parametrize("more", ["", ', private="X-Change"'])
def test_an_answer_that_sets_the_cookie_is_private(site, jar, more):
    s = site()
    said = "max-age=60" + more
    s.server.cgi("public", f"#!/bin/sh\necho 'Cache-Control: {said}'\n"
                 "echo 'X-Change: a=1'\necho 'Content-Type: text/plain'\n"
                 "echo\necho x\n")
    first = s.server.get("/cgi-bin/public", jar=jar)
    assert f"{said}, private" in first.all("Cache-Control")
    again = s.server.get("/cgi-bin/public", jar=jar)
    assert f"{said}, private" not in again.all("Cache-Control")
    assert said in again.all("Cache-Control")
    assert s.set(Jar(), a=1).all("Cache-Control") == ["no-cache, private"]


def test_the_cookie_of_a_redirect_and_of_an_error_is_sent(site):
    s = site()
    for status in ("302", "404", "500"):
        s.server.cgi("answer", f"#!/bin/sh\necho 'Status: {status}'\n"
                     "echo 'Location: /elsewhere'\necho 'X-Change: a=1'\n"
                     "echo\n")
        answer = s.server.get("/cgi-bin/answer")
        assert answer.status == int(status)
        assert len(answer.all("Set-Cookie")) == 1


def text_of(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def bytes_of(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def flipped(value):
    """The value with a bit of each part turned over."""
    result = []
    facts, mac = value.split(".")
    for part, index in ((facts, 0), (facts, 5), (facts, -1), (mac, 0),
                        (mac, 31)):
        data = bytearray(bytes_of(part))
        data[index] ^= 1
        other = text_of(bytes(data))
        result.append(other + "." + mac if part is facts
                      else facts + "." + other)
    return result


def bad_values(value):
    facts, mac = value.split(".")
    yield "empty", ""
    yield "text", "hello"
    for n in (1, 10, len(facts), len(facts) + 1, len(value) - 1):
        yield f"first {n}", value[:n]
    for i, other in enumerate(flipped(value)):
        yield f"flipped {i}", other
    yield "swapped", mac + "." + facts
    yield "doubled", value + value
    yield "oversized", "A" * 5000
    yield "oversized tail", value + ":" + "A" * 5000
    yield "not text", value[:-2] + "%00"


def test_a_cookie_that_is_not_authentic_costs_no_io(kept, jar):
    s = kept
    s.set(jar, a=1)
    s.node.asked()
    s.told(jar)
    before = s.node.asked()
    assert before["get"] > 0
    s.server.get("/cgi-bin/app")
    for name, value in bad_values(jar["HASESSION"]):
        told = s.told(headers={"Cookie": f"HASESSION={value}"})
        assert told["load"] == "refused", name
        assert told["session"] == "", name
    assert s.node.asked() == before
    assert s.log.text.count("HA0301:") == len(list(bad_values(
        jar["HASESSION"])))
    s.server.wait_access(2)


def test_cookies_of_another_secret_are_refused(site, jar):
    site().set(jar, a=1)
    assert site().told(jar)["load"] == "refused"


def test_the_first_authentic_cookie_of_the_name_counts(kept, jar):
    s = kept
    s.set(jar, a=1)
    good = jar["HASESSION"]
    for header in (f"HASESSION={good}", f"HASESSION=x; HASESSION={good}",
                   f"HASESSION={good}; HASESSION=x",
                   f'a=b;HASESSION="{good}";c', f"HASESSION = {good}",
                   f"HASESSION={good}:clone1:clone2"):
        told = s.told(headers={"Cookie": header})
        assert told["load"] == "hit", header
    told = s.told(headers={"Cookie": ["a=b; HASESSION=x", jar.header()]})
    assert told["load"] == "hit"
    far = "; ".join(["HASESSION=x"] * 8 + [jar.header()])
    assert s.told(headers={"Cookie": far})["load"] == "refused"


def test_a_dead_cookie_does_not_hide_a_living_one(kept, jar):
    s = kept
    gone = Jar()
    s.set(gone, user="old")
    dead = gone["HASESSION"]
    s.set(gone, user="")
    s.log.expect("HA0407")
    s.set(jar, user="ada")
    live = jar["HASESSION"]
    for header in (f"HASESSION={dead}; HASESSION={live}",
                   f"HASESSION={live}; HASESSION={dead}"):
        answer = s.server.get("/cgi-bin/app", headers={"Cookie": header})
        assert "user=ada" in answer.text, header
        assert not answer.all("Set-Cookie"), "the living one was taken away"
    header = f"HASESSION={dead}; HASESSION={dead}"
    answer = s.server.get("/cgi-bin/app", headers={"Cookie": header})
    assert "load=miss" in answer.text
    assert "Max-Age=0" in answer.header("Set-Cookie")


OVERLAPPING = """
<Location /cgi-bin>
SessionHACookieSameSite None
</Location>
<LocationMatch ^/cgi-bin/app>
SessionHACookieSecure Off
</LocationMatch>
"""


def test_same_site_none_is_never_sent_without_secure(site, jar):
    s = site(OVERLAPPING)
    cookie = s.set(jar, a=1).header("Set-Cookie")
    assert "SameSite=None" in cookie and "; Secure" in cookie


def test_names_compare_whole_and_by_case(kept, jar):
    s = kept
    s.set(jar, a=1)
    good = jar["HASESSION"]
    for name in ("hasession", "XHASESSION", "HASESSION2"):
        assert s.told(headers={"Cookie": f"{name}={good}"})["load"] == "none"


def test_a_genuine_cookie_without_a_session_is_taken_away(kept, jar):
    s = kept
    s.set(jar, a=1)
    s.node.empty()
    answer = s.server.get("/cgi-bin/app", jar=jar)
    assert "load=miss" in answer.text
    assert "Max-Age=0" in answer.header("Set-Cookie") and not jar
    s.log.expect("HA0303")
