# SPDX-License-Identifier: Apache-2.0
"""Directives, where they hold, and that nothing happens without them."""

import os
import re

import pytest

from admin import WRONG as ADMIN_WRONG
from backend import balancer
from httpd import STOCK, documented, named
from process import wait_until
from router import (MANAGER, OWN, SHOW, Manager, allow_dead, cookie, served,
                    shop, shown)

ALL = ("websphere, websphere-plus, tomcat, jetty, wildfly, wildfly-ranked, "
       "weblogic, spring")
MEMBER = "BalancerMember http://127.0.0.1:1 route=A\n"
STICKY = "ProxySet stickysession=JSESSIONID\n"
WRONG = [
    ("ProxyCloneRouting Maybe",
     "ProxyCloneRouting must be On or Off, not 'Maybe'"),
    ("ProxyCloneRouting yes", "must be On or Off, not 'yes'"),
    ("ProxyCloneRouting",
     "ProxyCloneRouting takes one argument, On to follow the clone ids"),
    ("ProxyCloneRouting On Off",
     "ProxyCloneRouting takes one argument, On to follow the clone ids"),
    ("ProxyCloneProfile was",
     f"ProxyCloneProfile must be one of {ALL}, not 'was'"),
    ("ProxyCloneProfile websphere:",
     f"ProxyCloneProfile must be one of {ALL}, not 'websphere:'"),
    ("ProxyCloneProfile tomcat jetty",
     "ProxyCloneProfile takes one argument, how the application servers "
     "write clone ids"),
    ("ProxyCloneExplain Perhaps",
     "ProxyCloneExplain must be On, Off or an expression, not 'Perhaps'"),
    ("ProxyCloneExplain \"%{HTTP:X} ==\"",
     "ProxyCloneExplain must be On, Off or an expression, not"),
    ("ProxyClonePrivateHeaders Perhaps",
     "ProxyClonePrivateHeaders must be On or Off, not 'Perhaps'"),
    ("ProxyCloneHeaderRemoval some",
     "ProxyCloneHeaderRemoval must be routed, all or none, not 'some'"),
    ("ProxyCloneTrustedProxy 10.0.0.1 nowhere.example",
     "ProxyCloneTrustedProxy must be addresses, with or without /bits, or "
     "None, not 'nowhere.example'"),
    ("ProxyCloneTrustedProxy 10.0.0.0/99", "not '10.0.0.0/99'"),
    ("ProxyCloneTrustedProxy 10.0.0.0/", "not '10.0.0.0/'"),
    ("ProxyCloneTrustedProxy None 10.0.0.1",
     "ProxyCloneTrustedProxy None takes nothing else, not 'None 10.0.0.1'"),
    ("ProxyCloneTrustedProxy 10.0.0.1 none", "not '10.0.0.1 none'"),
    ("ProxyCloneHeaderRemoval none\nProxyClonePrivateHeaders On\n"
     "<Proxy balancer://x>\n" + MEMBER + "</Proxy>", "CR0150"),
    ("ProxyCloneProfile", "ProxyCloneProfile takes one argument, how the"),
    ("ProxyCloneFormat", "ProxyCloneFormat: needs separator="),
    ("ProxyCloneFormat position=first",
     "ProxyCloneFormat: needs separator="),
    ("ProxyCloneFormat separator=:x",
     "ProxyCloneFormat: separator= takes one to eight of the characters "
     "!#$&'()*+-./:<>?@[]^_`{|}~, not 'separator=:x'"),
    ("ProxyCloneFormat separator=: list=on",
     "list= takes yes or no, not 'list=on'"),
    ("ProxyCloneFormat separator=: skip=65",
     "skip= takes a number from 0 to 64, not 'skip=65'"),
    ("ProxyCloneFormat separator=: websphere",
     "takes separator=, position=, list=, decode= and skip=, not "
     "'websphere'"),
    ("ProxyCloneFormat separator=: position=last list=yes",
     "list=yes needs position=first"),
    ("ProxyCloneProfile tomcat\nProxyCloneFormat separator=:",
     "ProxyCloneFormat says what ProxyCloneProfile or ProxyCloneFormat has "
     "said here before"),
    ("ProxyCloneFormat separator=: list=no Separator=.",
     "ProxyCloneFormat: Separator= is there twice, the second is "
     "'Separator=.'"),
    ("ProxyCloneStateDir @", "CR0146: ProxyCloneStateDir "),
    ("ProxyCloneFormat separator=:\nProxyCloneProfile tomcat",
     "ProxyCloneProfile says what ProxyCloneProfile or ProxyCloneFormat has"),
    ("ProxyCloneCookie", "ProxyCloneCookie takes Off or a cookie's name"),
    ("ProxyCloneCookie a;b",
     "ProxyCloneCookie takes Off or a cookie's name first, not 'a;b'"),
    ("ProxyCloneCookie R path=x",
     "path= takes an absolute path as in a URL, not 'path=x'"),
    ("ProxyCloneCookie R domain=a;b", "domain= takes a host's name"),
    ("ProxyCloneCookie R samesite=no",
     "samesite= takes Lax, Strict or None, not 'samesite=no'"),
    ("ProxyCloneCookie R secure=off", "secure= takes auto or on"),
    ("ProxyCloneCookie R httponly=off",
     "takes path=, domain=, samesite= and secure= behind the name"),
    ("ProxyCloneCookieSecretFile",
     "ProxyCloneCookieSecretFile takes one argument, a file of secrets"),
    ("<VirtualHost *>\nProxyCloneCookieSecretFile x\n</VirtualHost>",
     "ProxyCloneCookieSecretFile cannot occur within <VirtualHost> section"),
    (f"<Proxy balancer://x>\n{MEMBER}{STICKY}ProxyCloneRouting On\n"
     "ProxyCloneCookie JSESSIONID\n</Proxy>",
     "CR0124: main server: balancer://x: ProxyCloneCookie names the session "
     "cookie of the application, JSESSIONID; give it another name"),
    ("ProxyCloneLearn yes", "ProxyCloneLearn must be On or Off, not 'yes'"),
    ("ProxyCloneLearn", "ProxyCloneLearn takes one argument, On to send"),
    ("ProxyCloneLearnMax 63",
     "ProxyCloneLearnMax must be between 64 and 1048576, not '63'"),
    ("ProxyCloneLearnMax 1048577", "and 1048576, not '1048577'"),
    ("ProxyCloneLearnMax 100x", "and 1048576, not '100x'"),
    ("ProxyCloneLearnMax", "ProxyCloneLearnMax takes one argument, clone ids"),
    ("<VirtualHost *>\nProxyCloneLearnMax 100\n</VirtualHost>",
     "ProxyCloneLearnMax cannot occur within <VirtualHost> section"),
    ("<Proxy balancer://x>\nProxyCloneLearnMax 100\n</Proxy>",
     "ProxyCloneLearnMax not allowed in <Proxy> context"),
    ("<Location /x>\nProxyCloneFormat separator=:\n</Location>",
     "ProxyCloneFormat belongs in the server config"),
    ("ProxyCloneReplay maybe",
     "ProxyCloneReplay must be never, idempotent or always, not 'maybe'"),
    ("ProxyCloneReplay always 9",
     "ProxyCloneReplay: times must be between 1 and 8, not '9'"),
    ("ProxyCloneReplay always 1x", "must be between 1 and 8, not '1x'"),
    ("ProxyCloneReplay never 3",
     "ProxyCloneReplay never takes nothing else, not '3'"),
    ("ProxyCloneRetryStatus 404", "ProxyCloneRetryStatus must be none, or "
     "some of 429, 500, 502, 503 and 504, not '404'"),
    ("ProxyCloneRetryStatus 503 none", "502, 503 and 504, not 'none'"),
    ("ProxyCloneRetryStatus none 503",
     "ProxyCloneRetryStatus none takes nothing else, not '503'"),
    ("ProxyCloneRetryStatus", "ProxyCloneRetryStatus needs a status, or none"),
    ("ProxyCloneBodyMemory 64k",
     "ProxyCloneBodyMemory must be between 0 and 16777216, not '64k'"),
    ("ProxyCloneBodyMemory -1", "0 and 16777216, not '-1'"),
    ("ProxyCloneBodyFile big", "ProxyCloneBodyFile must be between 0 and "
     "1099511627776, not 'big'"),
    ("ProxyCloneFailures 0",
     "ProxyCloneFailures must be between 1 and 1000, not '0'"),
    ("ProxyCloneRetryBudget 101",
     "ProxyCloneRetryBudget: percent must be between 0 and 100, not '101'"),
    ("ProxyCloneRetryBudget 20 x", "ProxyCloneRetryBudget: requests a second "
     "must be between 0 and 1000, not 'x'"),
    ("ProxyCloneDeadline 10ms", "ProxyCloneDeadline must be between 100ms "
     "and 1h, with a unit (ms, s, m, h; default s), not '10ms'"),
    ("ProxyCloneDeadline soon", "default s), not 'soon'"),
    ("<Location /x>\nProxyCloneFailures 2\n</Location>",
     "ProxyCloneFailures belongs in the server config, in a virtual host or "
     "in <Proxy balancer://name>, not in <Location /x>"),
    ("<Location /x>\nProxyCloneRouting On\n</Location>",
     "ProxyCloneRouting belongs in the server config, in a virtual host or "
     "in <Proxy balancer://name>, not in <Location /x>"),
    ("<Directory /x>\nProxyCloneProfile tomcat\n</Directory>",
     "<Proxy balancer://name>, not in <Directory /x>"),
    ("<Proxy http://x/>\nProxyCloneRouting On\n</Proxy>",
     "<Proxy balancer://name>, not in <Proxy http://x/>"),
    ("<Proxy *>\nProxyCloneRouting On\n</Proxy>",
     "<Proxy balancer://name>, not in <Proxy *>"),
    ("<Proxy balancer://*>\nProxyCloneRouting On\n</Proxy>",
     "ProxyCloneRouting needs the name of one balancer around it, not the "
     "pattern 'balancer://*'"),
    ("<ProxyMatch balancer://x>\nProxyCloneRouting On\n</ProxyMatch>",
     "<Proxy balancer://name>, not in <ProxyMatch balancer://x>"),
    ("<Proxy ~ balancer://x>\nProxyCloneRouting On\n</Proxy>",
     "<Proxy balancer://name>, not in <Proxy ~ balancer://x>"),
    (f"<Proxy balancer://x>\n{MEMBER}ProxyCloneRouting On\n</Proxy>",
     "CR0101: main server: balancer://x: ProxyCloneRouting is On, but "
     "nothing names the session cookie; add "
     "stickysession=JSESSIONID|jsessionid"),
    (f"ProxyCloneRouting On\n<Proxy balancer://x>\n{MEMBER}"
     "ProxyCloneRouting On\n</Proxy>", "CR0101: main server: balancer://x"),
    (f"<Proxy balancer://x>\n{MEMBER}ProxySet lbmethod=clone\n</Proxy>",
     "CR0101: main server: balancer://x: lbmethod is clone, but nothing "
     "names the session cookie"),
    (f"<Proxy balancer://x>\n{MEMBER}{STICKY}ProxySet lbmethod=clone\n"
     "ProxyCloneRouting Off\n</Proxy>",
     "CR0102: main server: balancer://x: ProxyCloneRouting is Off, but "
     "lbmethod is clone; take one of them away"),
    *ADMIN_WRONG,
    ("ProxyCloneConfig",
     "ProxyCloneConfig takes one argument, the plugin-cfg.xml of"),
    ("ProxyCloneConfig none.xml",
     "ProxyCloneConfig: "),
    ("<VirtualHost *>\nProxyCloneConfig x\n</VirtualHost>",
     "ProxyCloneConfig cannot occur within <VirtualHost> section"),
    ("ProxyCloneConfigReserve -1", "ProxyCloneConfigReserve: the number of "
     "members must be between 0 and 1000, not '-1'"),
    ("ProxyCloneConfigReserve 1 x", "ProxyCloneConfigReserve: the number of "
     "clusters must be between 0 and 100, not 'x'"),
    ("<VirtualHost *>\nProxyCloneConfigReserve 1\n</VirtualHost>",
     "ProxyCloneConfigReserve cannot occur within <VirtualHost> section"),
]


def test_httpd_t_tells_what_is_wrong_with_each_directive(httpd):
    server = httpd("", start=False, own=OWN)
    for text, wanted in WRONG:
        # a file that is there
        text = text.replace(" @", f" {server.dir}/mime.types")
        code, said = server.configtest(text)
        assert code != 0 and wanted in re.sub(r"\s+", " ", said), (text, said)


def test_no_directive_is_left_out_of_the_wrong_ones():
    assert not documented("mod_proxy_balancer_clone") - named(WRONG)


def test_a_fault_in_a_virtual_host_names_its_line(httpd):
    server = httpd("", start=False, own=OWN)
    code, said = server.configtest(
        "<VirtualHost *>\n<Proxy balancer://x>\n" + MEMBER
        + "ProxyCloneRouting On\n</Proxy>\n</VirtualHost>\n")
    assert code != 0
    assert re.search(r"CR0101: \S*httpd.conf\.checked:\d+: balancer://x", said)


def test_httpd_t_accepts_what_is_right(httpd):
    server = httpd("", start=False, own=OWN)
    for text in ("ProxyCloneRouting On", "ProxyCloneRouting off",
                 "ProxyCloneProfile TomCat", "ProxyCloneProfile spring",
                 "ProxyCloneCookie off", "ProxyCloneCookie R path=/a "
                 "domain=example.com samesite=none secure=auto",
                 f"<Proxy balancer://x>\n{MEMBER}ProxyCloneRouting On\n"
                 "ProxyCloneCookie R\n</Proxy>",
                 "ProxyCloneLearn off", "ProxyCloneLearnMax 64",
                 "ProxyCloneFormat Separator=:+ list=NO decode=Base64 skip=4",
                 f"ProxyCloneRouting On\n<Proxy balancer://x>\n{MEMBER}"
                 "</Proxy>",
                 f"<Proxy Balancer://X/>\n{MEMBER}{STICKY}<IfModule "
                 "!nosuch.c>\nProxyCloneRouting On\n</IfModule>\n</Proxy>",
                 "ProxyCloneTrustedProxy None\n"
                 "ProxyCloneTrustedProxy 10.0.0.1 10.0.0.2",
                 "ProxyCloneStateDir logs", "ProxyCloneRetryStatus none",
                 "ProxyCloneReplay never", "ProxyCloneMaxInFlight Off",
                 f'<Proxy "balancer://x">\n{MEMBER}{STICKY}'
                 "ProxyCloneProfile jetty\n</Proxy>"):
        assert server.configtest(text) == (0, "Syntax OK\n"), text


TWINS = ("<Proxy balancer://x>\n" + STICKY + "ProxyCloneRouting On\n" + MEMBER
         + MEMBER.replace(":1 ", ":2 ") + "</Proxy>\n")
SAID = (r"CR0107: \S+.*: balancer://x: route A is that of http://127.0.0.1:1 "
        "and of http://127.0.0.1:2; ")


@pytest.mark.parametrize("text, count", [
    (TWINS, 1), (TWINS + "<VirtualHost *>\nProxyPass / balancer://x/\n"
                 "</VirtualHost>\n", 1),
    ("<VirtualHost *>\n" + TWINS + "</VirtualHost>\n", 1),
    ("ProxyCloneRouting On\n" + TWINS.replace(STICKY, "").replace(
        "ProxyCloneRouting On\nBalancerMember", "BalancerMember")
     + "<VirtualHost *>\nProxyCloneCookie R\nProxyPass / balancer://x/\n"
     "</VirtualHost>\n", 1),
    (TWINS.replace("Routing On", "Routing Off"), 0),
    (TWINS.replace("route=A", "", 1), 0),
    (TWINS.replace("route=A", ""), 0)])
def test_two_members_of_one_route_are_told_of_once(httpd, text, count):
    server = httpd(text, start=False, own=OWN)
    code, said = server.configtest()
    assert code == 0 and len(re.findall(SAID, said)) == count, said
    server.start()
    for _ in range(count):
        server.log.expect(SAID)
    assert len(re.findall(SAID, server.log.text)) == count


def test_a_file_where_nobody_asked_for_a_directory_stops_no_start(httpd):
    server = httpd("", start=False, own=OWN)
    with open(os.path.join(server.dir, "proxy_clone"), "w") as f:
        f.write("x")
    assert server.configtest() == (0, "Syntax OK\n")


def test_a_contradiction_stops_the_start(httpd):
    server = httpd(f"<Proxy balancer://x>\n{MEMBER}ProxyCloneRouting On\n"
                   "</Proxy>", start=False, own=OWN)
    assert "CR0101" in server.refuses_to_start()


# ---- where a setting holds

BLOCK = "<Proxy balancer://shop>"


def host(name, text):
    return f"<VirtualHost *>\nServerName {name}\n{text}\n</VirtualHost>\n"


def route_of(server, name, sent):
    """How host name serves what is sent, four times."""
    headers = {"Host": name, **sent}
    return {(a.json["clone"], shown(a)["reason"])
            for a in (server.get("/", headers=headers) for _ in range(6))}


@pytest.mark.every_mpm
@pytest.mark.parametrize("directive", ["ProxyCloneRouting On",
                                       "ProxySet lbmethod=clone"])
def test_a_virtual_host_routes_with_a_balancer_of_the_main_server(
        httpd, clones, directive):
    three = clones("A", "B", "C")
    text = SHOW + balancer(three).replace("</Proxy>", f"{directive}\n</Proxy>")
    server = httpd(
        text.replace("ProxyPass / ", "ProxyPass /main/ ")
        + host("first", "ProxyPass / balancer://shop/")
        + host("second", "ProxyPass / balancer://shop/ timeout=20")
        + host("third", "RewriteEngine On\n"
               "RewriteRule ^/(.*) balancer://shop/$1 [P]")
        + host("fourth", "<Location />\nProxyPass balancer://shop/\n"
               "</Location>"), own=OWN)
    for name in ("first", "second", "third", "fourth"):
        assert route_of(server, name, cookie("X", "B")) == {("B", "next")}, \
            name


def test_each_host_may_say_it_otherwise(httpd, clones):
    three = clones("A", "B", "C")
    proxy_pass = "ProxyPass / balancer://shop/\n"
    named = BLOCK + "\nProxyCloneRouting {}\n</Proxy>\n"
    server = httpd(
        "ProxyCloneRouting On\nProxyCloneProfile tomcat\n" + SHOW
        + balancer(three).replace("ProxyPass / ", "ProxyPass /main/ ")
        + host("inherits", proxy_pass)
        + host("off", "ProxyCloneRouting Off\n" + proxy_pass)
        + host("named-off", named.format("Off") + proxy_pass)
        + host("named-on", "ProxyCloneRouting Off\n" + named.format("On")
               + proxy_pass)
        + host("rewrites-off", "ProxyCloneRouting Off\nProxyTimeout 20\n"
               "RewriteEngine On\n"
               "RewriteRule ^/(.*) balancer://shop/$1 [P]")
        + host("other-profile", "ProxyCloneProfile websphere\n" + proxy_pass),
        own=OWN)
    dot = {"Cookie": "JSESSIONID=s1.B"}
    assert route_of(server, "inherits", dot) == {("B", "first")}
    assert route_of(server, "named-on", dot) == {("B", "first")}
    # without the router: stock mod_proxy_balancer serves s1.B, and no word
    assert route_of(server, "off", dot) == {("B", None)}
    assert route_of(server, "named-off", dot) == {("B", None)}
    assert route_of(server, "rewrites-off", dot) == {("B", None)}
    assert route_of(server, "other-profile", cookie("X", "B")) == {
        ("B", "next")}
    assert {r for _, r in route_of(server, "off", cookie("X", "B"))} == {None}


@pytest.mark.parametrize("main, hosts, wanted", [
    ("On", {"plain": "", "off": "ProxyCloneRouting Off"},
     {"main": True, "plain": True, "off": False}),
    ("Off", {"plain": "", "on": "ProxyCloneRouting On"},
     {"main": False, "plain": False, "on": True}),
])
def test_hosts_that_share_the_main_server_s_balancer_may_differ(
        httpd, clones, main, hosts, wanted):
    # no directive of mod_proxy in them: the balancer itself is shared
    rewrite = "RewriteEngine On\nRewriteRule ^/(.*) balancer://shop/$1 [P]\n"
    server = httpd(
        f"ProxyCloneRouting {main}\n" + SHOW + balancer(clones("A", "B"))
        + host("main", "RewriteEngine Off")
        + "".join(host(name, text + "\n" + rewrite)
                  for name, text in hosts.items()), own=OWN)
    for name, is_routed in wanted.items():
        got = route_of(server, name, cookie("X", "B"))
        if is_routed:
            assert got == {("B", "next")}, name
        else:
            assert {reason for _, reason in got} == {None}, name
            assert {c for c, _ in route_of(server, name, cookie(
                "B", sep="."))} == {"B"}, name


def test_the_main_server_routes_for_itself_alone(httpd, clones):
    three = clones("A", "B", "C")
    other = "<Proxy balancer://other>\n" + "".join(
        c.member() + "\n" for c in three.values()) + STICKY + "</Proxy>\n"
    server = httpd(shop(three, before=other
                        + "ProxyPass /other/ balancer://other/\n"), own=OWN)
    assert route_of(server, "any", cookie("X", "B")) == {("B", "next")}
    got = {(a.json["clone"], shown(a)["reason"])
           for a in (server.get("/other/", headers=cookie("X", "B"))
                     for _ in range(6))}
    assert got == {(c, None) for c in "ABC"}


def test_server_wide_routing_leaves_balancers_without_sessions_alone(httpd,
                                                                     clones):
    three = clones("A", "B", "C")
    server = httpd("ProxyCloneRouting On\n" + MANAGER + SHOW
                   + balancer(three).replace(
                       "ProxySet stickysession=JSESSIONID|jsessionid", ""),
                   own=OWN)
    assert Manager(server).method == "byrequests"
    assert shown(server.get("/"))["changed"] is None


@pytest.mark.parametrize("base", ["byrequests", "bybusyness", "bytraffic"])
def test_the_configured_lbmethod_decides_for_new_visitors(httpd, clones, base):
    two = clones("A", "B")
    server = httpd(shop(two, options=f"lbmethod={base}"), own=OWN)
    assert f"over lbmethod {base}" in server.log.expect("CR0104")
    assert Manager(server).method == "clone"
    assert {served(server.get("/")) for _ in range(12)} == {
        ("A", "new"), ("B", "new")}
    assert served(server.get("/", headers=cookie("B"))) == ("B", "first")


def test_each_virtual_host_keeps_the_lbmethod_stock_gives_it(httpd, clones):
    two = clones("A", "B")
    text = (shop(two, inside="ProxyCloneRouting Off",
                 options="lbmethod=bybusyness").replace(
                     "ProxyPass / ", "ProxyPass /main/ ")
            + host("same", "ProxyPass /same/ balancer://shop/")
            + host("own", "ProxyPass /own/ balancer://shop/ "
                   "lbmethod=bytraffic"))
    names = ("same", "own")
    stock = httpd(text, own=OWN)
    bases = [Manager(stock, headers={"Host": n}).method for n in names]
    assert bases == ["byrequests", "bytraffic"]
    server = httpd(text.replace("Routing Off", "Routing On"), own=OWN)
    said = [server.log.expect("CR0104") for _ in range(3)]
    assert sorted(re.search(r"over lbmethod (\w+)", line).group(1)
                  for line in said) == ["bybusyness"] + bases
    for n in names:
        assert Manager(server, headers={"Host": n}).method == "clone"


def test_a_host_may_switch_off_the_main_server_s_lbmethod_clone(httpd,
                                                                clones):
    two = clones("A", "B")
    server = httpd(
        SHOW + balancer(two).replace("</Proxy>", "ProxySet lbmethod=clone\n"
                                     "</Proxy>")
        + host("off", "ProxyCloneRouting Off\n"
               "ProxyPass / balancer://shop/"), own=OWN)
    assert {r for _, r in route_of(server, "off", cookie("X", "B"))} == {None}


def test_without_an_lbmethod_for_new_visitors_it_does_not_start(
        httpd, monkeypatch):
    monkeypatch.setattr("httpd.STOCK", [
        name for name in STOCK if not name.startswith("lbmethod_")])
    server = httpd(f"<Proxy balancer://x>\n{MEMBER}{STICKY}"
                   "ProxyCloneRouting On\n</Proxy>", start=False, own=OWN)
    assert "CR0103: main server: balancer://x: there is no lbmethod " \
        "byrequests" in server.refuses_to_start()


def test_lbmethod_clone_routes_in_a_proxypass_too(httpd, clones):
    two = clones("A", "B")
    server = httpd(MANAGER + SHOW + balancer(two).replace(
        "balancer://shop/\n", "balancer://shop/ lbmethod=clone\n"), own=OWN)
    assert "over lbmethod byrequests" in server.log.expect("CR0104")
    assert served(server.get("/", headers=cookie("X", "B"))) == ("B", "next")


# ---- restarts

@pytest.mark.every_mpm
def test_routing_survives_graceful_restarts(httpd, clones):
    two = clones("A", "B")
    text = shop(two)
    server = httpd(text, own=OWN)
    for _ in range(2):
        server.graceful()
        assert served(server.get("/", headers=cookie("X", "B"))) == (
            "B", "next")
    server.graceful(text.replace("ProxyCloneRouting On", ""))
    wait_until(lambda: shown(server.get("/", headers=cookie("X", "B")))[
        "reason"] is None, 5, "stock routing")
    server.graceful(text)
    wait_until(lambda: shown(server.get("/", headers=cookie("X", "B")))[
        "reason"] == "next", 5, "clone routing")


def test_balancerpersist_keeps_a_drain_and_the_routing(httpd, clones):
    two = clones("A", "B")
    server = httpd("BalancerPersist On\n" + shop(two), own=OWN)
    Manager(server).set(two["A"], N=1)
    for again in (server.graceful, lambda: (server.stop(), server.start())):
        again()
        page = Manager(server)
        assert page.method == "clone"
        assert "Drn" in page.members()["A"]["status"]
        assert served(server.get("/", headers=cookie("A"))) == ("A", "first")
        assert {served(server.get("/"))[0] for _ in range(6)} == {"B"}


def test_balancerpersist_keeps_a_method_chosen_on_the_page(httpd, clones):
    two = clones("A", "B")
    server = httpd("BalancerPersist On\n" + shop(two), own=OWN)
    Manager(server).set_balancer(lbm="bybusyness")
    server.graceful()
    line = server.log.expect("CR0105")
    assert "says lbmethod bybusyness, which is used" in line
    assert shown(server.get("/", headers=cookie("X", "B")))["reason"] is None
    Manager(server).set_balancer(lbm="clone")
    server.graceful()
    assert served(server.get("/", headers=cookie("X", "B"))) == ("B", "next")
    assert len([l for l in server.log.lines() if "CR0105" in l]) == 1


# ---- nothing without our directives

SCRIPT = [(method, path, sent) for sent in (
    {}, cookie("B"), cookie("B", sep="."), cookie("X", sep="."),
    {"Cookie": "JSESSIONID=s.A; JSESSIONID=t.B"}, {"Cookie": 'JSESSIONID="s.B"'}
) for method, path in (("GET", "/"), ("POST", "/;jsessionid=s.C"),
                       ("GET", "/x?jsessionid=s.A"), ("GET", "/"))]


def play(server, three):
    """All a client can see of stock routing, and the page afterwards."""
    seen = []
    for part in range(2):
        for method, path, sent in SCRIPT:
            answer = server.request(method, path, headers=sent, body=b"x" * 99
                                    if method == "POST" else None)
            row = {k: v for k, v in shown(answer).items() if k != "worker"}
            seen.append((method, path, answer.status,
                         answer.json["clone"], row))
        three["A"].kill9()
    three["A"].start()
    page = Manager(server)
    return seen, page.method, {
        route: {k: m[k] for k in ("elected", "status", "lbstatus", "busy")}
        for route, m in page.members().items()}


def test_without_our_directives_nothing_changes(httpd, clones):
    three = clones("A", "B", "C")
    text = shop(three, inside="", members="retry=60")
    played = []
    for own in ((), OWN):
        server = httpd(text, own=own, loglevel="warn")
        allow_dead(server)
        played.append(play(server, three))
    assert played[0] == played[1]
    assert played[0][1] == "byrequests"
    statuses = {row[2] for row in played[0][0]}
    assert statuses == {200}
    assert {row[3] for row in played[0][0]} == {"A", "B", "C"}
