# SPDX-License-Identifier: Apache-2.0
"""plugin-cfg.xml as the configuration of the router."""

import os
import re
import threading

import pytest

from plugin_cfg import (PluginFile, cluster, config, hosts, route, server,
                        settled, simple, tag, uris)
from process import wait_until
from router import OWN, Manager, allow_dead, cookie, served, shown


def spread(site, path="/shop/x", count=12, **kw):
    """The clones that visitors without a session reach."""
    return {served(site.get(path, **kw))[0] for _ in range(count)}


def strays(site, *ids, path="/shop/x", count=6):
    """The clones that sessions of other names reach by this list."""
    return {served(site.get(path, headers=cookie(*ids, session=f"s{n}")))[0]
            for n in range(count)}


@pytest.mark.every_mpm
def test_the_file_alone_routes_by_session_and_by_weight(plugin, clones):
    three = clones("A", "B", "C")
    site = plugin(simple(three, {"A": 20, "B": 20, "C": 0}))
    assert spread(site) == {"A", "B"}
    for clone in "ABC":
        answer = site.get("/shop/x?q=1", headers=cookie(clone))
        assert served(answer) == (clone, "first")
        assert shown(answer)["name"] == "balancer://shop"
        assert answer.json["path"] == "/shop/x?q=1"
    three["A"].kill9()
    allow_dead(site)
    assert served(site.get("/shop/x", headers=cookie("A", "C"))) == \
        ("C", "next")
    assert strays(site, "A") == {"B"}
    page = Manager(site).members()
    assert "Drn" in page["C"]["status"] and "Drn" not in page["B"]["status"]
    site.log.expect("CR0400")


def test_hosts_and_paths_decide_and_the_rest_is_ordinary(plugin, clones):
    two = clones("A", "B")
    text = config(
        hosts("one", "one.example:80"), hosts("two", "two.example:*"),
        uris("shop", "/shop/*", "/shop/admin/*"), uris("all", "/*"),
        cluster("First", [server(two["A"])]),
        cluster("Second", [server(two["B"])]),
        route("First", "shop", "one"), route("Second", "all", "two"))
    site = plugin(text)
    site.file("plain.txt", "here")
    first = {"Host": "one.example"}
    assert served(site.get("/shop/x", headers=first))[0] == "A"
    assert served(site.get("/x", headers={"Host": "two.example:81"}))[0] == "B"
    assert site.get("/plain.txt", headers=first).text == "here"
    for host, path in (("one.example", "/other"), ("one.example:81", "/shop/x"),
                       ("other.example", "/shop/x"),
                       ("one.example", "/shop/..;/other")):
        assert site.get(path, headers={"Host": host}).status == 404
    seen = two["A"].requests[-1]
    assert seen["headers"]["host"] == "one.example"


def test_the_path_arrives_as_it_was_sent(plugin, clones):
    one = clones("A")
    site = plugin(simple(one, patterns=("/shop/*",)))
    for path in ("/shop/a%20b/%C3%A4;x=y?z=%2F&q=a+b", "/shop/%41//b?",
                 "/shop"):
        site.get(path)
        assert one["A"].requests[-1]["path"] == path
    site.get(f"http://127.0.0.1:{site.port}/shop/%20x?y")
    assert one["A"].requests[-1]["path"] == "/shop/%20x?y"


def test_paths_name_their_own_cookies(plugin, clones):
    two = clones("A", "B")
    both = [server(c) for c in two.values()]
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/shop/*"),
        uris("bank", "/bank/*", cookie="BANK", url_id="bankid"),
        cluster("Shop", both), route("Shop"), route("Shop", "bank")))
    for clone, other in ("AB", "BA"):
        both = {"Cookie": f"BANK=0000s1:{clone}; JSESSIONID=0000s2:{other}"}
        for path, wanted in (("/bank/x", clone), ("/shop/x", other)):
            answer = site.get(path, headers=both)
            assert served(answer) == (wanted, "first")
        assert served(site.get(f"/bank/x;bankid=0000s1:{clone}"))[0] == clone
    assert served(site.get("/bank/x", headers=cookie("A")))[1] == "new"


def test_backups_serve_when_all_primaries_are_away_in_their_order(
        plugin, clones):
    four = clones("A", "B", "C", "D")
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(c) for c in four.values()],
                primary=[four["A"], four["B"]],
                backup=[four["D"], four["C"]], RetryInterval=60),
        route("Shop")))
    allow_dead(site)
    assert spread(site) == {"A", "B"}
    four["A"].kill9()
    assert spread(site) == {"B"}
    assert strays(site, "A") == {"B"}
    four["B"].kill9()
    assert spread(site) == {"D"} and strays(site, "A", "B") == {"D"}
    four["D"].kill9()
    assert spread(site) == {"C"} and strays(site, "A") == {"C"}


def test_random_and_affinity_count_as_the_file_says(plugin, clones):
    two = clones("A", "B")
    text = simple(two, LoadBalance="Random")
    site = plugin(text)
    order = [served(site.get("/shop/x"))[0] for _ in range(100)]
    assert set(order) == {"A", "B"}
    assert "AA" in "".join(order) and "BB" in "".join(order)
    for ignores, wanted in (("true", {"A", "B"}), ("false", {"B"})):
        site.cfg.change(site, simple(two, IgnoreAffinityRequests=ignores))
        assert [served(site.get("/shop/x"))[0]
                for _ in range(4)].count("A") == 2
        for _ in range(10):
            site.get("/shop/x", headers=cookie("A"))
        assert spread(site, count=6) == wanted


def test_new_visitors_go_by_the_clusters_address(plugin, clones):
    three = clones("A", "B", "C")
    address = tag("ClusterAddress", tag(
        "Transport", Hostname="127.0.0.1", Port=three["C"].port,
        Protocol="http"), Name="balancer")
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(three[i]) for i in "AB"] + [address]),
        route("Shop")))
    assert {site.get("/").json["clone"] for _ in range(6)} == {"C"}
    assert served(site.get("/", headers=cookie("B"))) == ("B", "first")


def test_a_host_without_an_address_is_a_dead_clone_and_no_more(
        plugin, clones):
    two = clones("A", "B")
    text = simple(two).replace('Hostname="127.0.0.1"',
                               'Hostname="nowhere.invalid"', 1)
    site = plugin(text)
    allow_dead(site)
    site.log.allow("AH00898")
    for _ in range(8):
        assert served(site.get("/shop/x"))[0] == "B"
    assert served(site.get("/shop/x", headers=cookie("A")))[0] == "B"
    site.cfg.change(site, simple(two))
    assert served(site.get("/shop/x", headers=cookie("A"))) == ("A", "first")


def test_a_time_out_downs_a_clone_by_its_sign(plugin, clones):
    two = clones("A", "B")
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(two["A"], ServerIOTimeout=1),
                         server(two["B"], ServerIOTimeout=-1)],
                RetryInterval=60), route("Shop")))
    for line in ("AH01102", "AH00898", "AH02460", "CR0220"):
        site.log.allow(line)
    for clone_id, next_one in ("AA", "BA"):
        clone = two[clone_id]
        clone.behave("hang")
        answer = site.post("/x", body=b"1", headers=cookie(clone_id))
        assert answer.status in (502, 504)
        clone.behave("normal")
        assert served(site.get("/x", headers=cookie(clone_id)))[0] == next_one


def test_a_busy_clone_is_down_where_the_file_says_so(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two).replace("<Server Name=",
                                      '<Server MarkBusyDown="true" Name='))
    site.log.allow("AH01174")
    two["A"].behave("status 503")
    assert site.post("/shop/x", body=b"1",
                     headers=cookie("A")).status in (200, 503)
    assert served(site.get("/shop/x", headers=cookie("A")))[0] == "B"


def test_a_body_over_the_limit_is_refused(plugin, clones):
    one = clones("A")
    site = plugin(simple(one, PostSizeLimit=1000))
    site.log.allow("AH0109[57]")
    for chunked in (False, True):
        one["A"].forget()
        assert site.post("/shop/x", body=b"x" * 1000,
                         chunked=chunked).status == 200
        assert site.post("/shop/x", body=b"x" * 1001,
                         chunked=chunked).status == 413
        assert len(one["A"].requests) == 1


# ---- changes

@pytest.mark.every_mpm
def test_weights_members_and_paths_change_while_it_runs(plugin, clones):
    three = clones("A", "B", "C")
    site = plugin(simple(three, drop=("C",)))
    allow_dead(site)
    assert spread(site) == {"A", "B"}
    assert site.get("/bank/x").status == 404
    site.cfg.change(site, simple(three, {"A": 0}))
    assert served(site.get("/shop/x", headers=cookie("C"))) == ("C", "first")
    assert spread(site) == {"B", "C"}
    assert served(site.get("/shop/x", headers=cookie("A"))) == ("A", "first")
    site.log.expect("CR0416")
    site.cfg.change(site, simple(three, drop=("B",),
                                 patterns=("/shop/*", "/bank/*")))
    assert site.get("/bank/x").status == 200
    assert spread(site) == {"A", "C"}
    assert strays(site, "B") <= {"A", "C"}
    assert "Shut" in Manager(site).members()["B"]["status"]
    site.log.expect("CR0417")
    three["B"].forget()
    site.cfg.change(site, simple(three))
    assert served(site.get("/shop/x", headers=cookie("B"))) == ("B", "first")
    assert spread(site) == {"A", "B", "C"}
    # and a graceful restart is as a start with the file as it is now
    site.graceful()
    settled(lambda: served(site.get("/shop/x", headers=cookie("B"))),
            ("B", "first"), "after the restart")
    assert site.get("/bank/x").status == 404


def test_what_was_set_on_the_page_outlives_an_edit(plugin, clones):
    three = clones("A", "B", "C")
    site = plugin(simple(three, drop=("C",)))
    page = Manager(site)
    page.set(three["A"], N=1)
    page.set(three["B"], lf=7)
    site.cfg.change(site, simple(three))
    assert "Drn" in page.members()["A"]["status"]
    assert page.members()["B"]["loadfactor"] == "7.00"
    assert spread(site) == {"B", "C"}
    assert served(site.get("/shop/x", headers=cookie("A"))) == ("A", "first")


@pytest.mark.every_mpm
def test_requests_under_way_do_not_notice_an_edit(plugin, clones):
    three = clones("A", "B", "C")
    site = plugin(simple(three))
    # What mod_proxy says of a member that left while it was being asked.
    allow_dead(site)
    answers, over = [], threading.Event()

    def ask(clone_id):
        with site.client() as client:
            while not over.is_set():
                answers.append(client.request(
                    "GET", "/shop/x", headers=cookie(clone_id)).status)

    askers = [threading.Thread(target=ask, args=(i,)) for i in "ABCB"]
    for asker in askers:
        asker.start()
    try:
        for n in range(6):
            drop = ("C",) if n % 2 else ("B",)
            site.cfg.change(site, simple(three, {"A": n + 1}, drop=drop))
    finally:
        over.set()
        for asker in askers:
            asker.join()
    assert len(answers) > 20 and set(answers) == {200}


def test_a_weight_that_is_back_is_no_drain_to_be_remembered(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two, every=60).replace('RefreshInterval="60"',
                                                'RefreshInterval="0"'))
    site.cfg.change(site, simple(two, {"A": 0}, every=60))
    assert "Drn" in Manager(site).members()["A"]["status"]
    site.cfg.write(simple(two))
    site.graceful()
    wait_until(lambda: "Drn" not in Manager(site).members()["A"]["status"],
               5, "a clone that does not drain")


BAD = [
    (b"<Config>\n<ServerCluster\n</Config>", r":3: "),
    (b"", r"plugin-cfg.xml(:\d+)?: "),
    (b"\0\1\2", r"plugin-cfg.xml(:\d+)?: "),
    (b"<Config>" + b" " * (8 * 1024 * 1024) + b"</Config>",
     r"plugin-cfg.xml(:\d+)?: "),
]


@pytest.mark.every_mpm
def test_a_bad_edit_changes_nothing_and_is_named(plugin, clones):
    two = clones("A", "B")
    good = simple(two)
    site = plugin(good)
    for text, wanted in BAD[:2]:
        site.cfg.spoil(site, text, wanted)
        assert spread(site) == {"A", "B"}
    site.graceful()
    site.log.expect("CR0401: .*; going on with what was accepted last")
    settled(lambda: served(site.get("/shop/x", headers=cookie("B"))),
            ("B", "first"), "after a restart with a bad file")
    site.cfg.change(site, simple(two, drop=("A",)))
    assert strays(site, "A") == {"B"}


def test_a_file_that_goes_away_is_missed_and_waited_for(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two))
    os.unlink(site.cfg.path)
    line = site.log.expect("CR0411")
    assert "No such file" in line
    assert spread(site) == {"A", "B"}
    site.cfg.write(simple(two))
    site.log.expect("CR0412", timeout=10)
    site.cfg.change(site, simple(two, {"A": 0}))
    assert strays(site) == {"B"}
    assert len([1 for _, l in site.log.all() if "CR0411" in l]) == 1


def test_clusters_may_come_while_there_is_a_reserve(plugin, clones):
    three = clones("A", "B", "C")

    def text(*ids):
        return config(hosts("hosts", "*:*"), *[
            part for i in ids for part in (
                uris(f"u{i}", f"/{i}/*"),
                cluster(f"Cluster {i}", [server(three[i])]),
                route(f"Cluster {i}", f"u{i}"))])

    site = plugin(text("A"), before="ProxyCloneConfigReserve 1 1\n")
    site.cfg.change(site, text("A", "B"))
    assert served(site.get("/B/x")) == ("B", "new")
    assert served(site.get("/B/x", headers=cookie("B"))) == ("B", "first")
    name = shown(site.get("/B/x"))["name"]
    site.cfg.change(site, text("A", "B", "C"))
    site.log.expect("CR0415")
    assert site.get("/C/x").status == 503
    assert served(site.get("/B/x"))[0] == "B"
    site.graceful()
    settled(lambda: site.get("/C/x").status, 200, "room after a restart")
    assert shown(site.get("/B/x"))["name"] == name


def test_members_beyond_the_reserve_wait_for_a_restart(plugin, clones):
    three = clones("A", "B", "C")
    site = plugin(simple(three, drop=("B", "C")),
                  before="ProxyCloneConfigReserve 1 0\n")
    site.cfg.change(site, simple(three))
    line = site.log.expect("CR0414")
    assert three["C"].url in line
    assert spread(site) == {"A", "B"}
    site.graceful()
    settled(lambda: spread(site, count=6), {"A", "B", "C"}, "all of them")


def test_minus_one_leaves_changes_to_restarts(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two, every=-1))
    site.log.expect("CR0400: .* not looking for changes")
    site.cfg.write(simple(two, drop=("B",)))
    site.graceful()
    settled(lambda: spread(site, count=1), {"A"}, "what the restart read")
    assert not site.log.has("CR0410")


# ---- httpd's own configuration beside it

def test_proxypass_wins_over_the_file(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple({"A": two["A"]}, patterns=("/*",)),
                  after=f"ProxyPass /own {two['B'].url}/own\n"
                        "ProxyPass /not !\n")
    site.file("not/x.txt", "here")
    assert site.get("/own/x").json["clone"] == "B"
    assert site.get("/not/x.txt").text == "here"
    assert site.get("/else").json["clone"] == "A"


def test_virtual_hosts_share_the_balancers(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two), after=f"""
<VirtualHost *>
ServerName plain.example
</VirtualHost>
<VirtualHost *>
ServerName own.example
ProxyPass /own {two['A'].url}/own
</VirtualHost>
""")
    page = Manager(site)
    for host in ("plain.example", "own.example"):
        headers = {"Host": host}
        for clone in "AB":
            answer = site.get("/shop/x", headers={**headers, **cookie(clone)})
            assert answer.json["clone"] == clone
    assert sum(m["elected"] for m in page.members().values()) == 4
    page.set(two["A"], D=1)
    for host in ("plain.example", "own.example"):
        answer = site.get("/shop/x", headers={
            "Host": host, "$WSRU": "root", **cookie("A")})
        assert answer.json["clone"] == "B"
        seen = two["B"].requests[-1]["headers"]
        assert "$wsru" not in seen and seen["$wssn"] == host
    page.set(two["A"], D=0)
    site.cfg.change(site, simple(two, drop=("B",)))
    answer = site.get("/shop/x", headers={"Host": "own.example"})
    assert answer.json["clone"] == "A"


def test_a_balancer_of_the_file_can_be_set_in_httpds_way(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two), before="""<Proxy balancer://shop>
ProxySet nofailover=On
ProxyCloneProfile tomcat
</Proxy>
""")
    assert served(site.get("/shop/x", headers=cookie("B", sep="."))) == \
        ("B", "first")


def test_a_member_of_the_file_can_be_health_checked(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two), before=f"""<Proxy balancer://shop>
BalancerMember {two['A'].url} hcmethod=TCP hcinterval=2 hcfails=1 hcpasses=1
</Proxy>
""")
    allow_dead(site)
    site.log.allow("AH032[0-9][0-9]")
    page = Manager(site)
    assert sorted(page.members()) == ["A", "B"]
    assert served(site.get("/shop/x", headers=cookie("A"))) == ("A", "first")
    two["A"].kill9()
    wait_until(lambda: "HcFl" in page.members()["A"]["status"], 10,
               "a failed check")


# ---- https

@pytest.fixture
def shielded(workdir, httpd, clones):
    """Two clones and, before each, an httpd that takes TLS for it."""
    two = clones("A", "B")
    for clone in two.values():
        clone.shield = httpd(
            f"ProxyPass / {clone.url}/\nProxyPreserveHost On\n"
            "RequestHeader set X-Came-By https\n", tls=True, own=(),
            name=f"shield-{clone.id}")
    return two


def both_ways(clones, only=None):
    ways = {"http": lambda c: c.port, "https": lambda c: c.shield.tls_port}
    return config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(c, [(way, port(c)) for way, port
                                    in ways.items() if only in (None, way)])
                         for c in clones.values()]), route("Shop"))


TRUST = """SSLProxyEngine On
SSLProxyVerify require
SSLProxyCheckPeerName off
SSLProxyCACertificateFile "{0}/shield-A/cert.pem"
"""


def way_of(clone):
    return clone.requests[-1]["headers"].get("x-came-by", "http")


def test_members_are_reached_as_the_client_came(plugin, shielded, workdir):
    ca = TRUST.format(workdir)
    with open(f"{workdir}/shield-B/cert.pem") as f:
        with open(f"{workdir}/shield-A/cert.pem", "a") as bundle:
            bundle.write(f.read())
    site = plugin(both_ways(shielded), before=ca, tls=True)
    for is_tls, way, name in ((False, "http", "shop"),
                              (True, "https", "shop-https")):
        for clone in "AB":
            answer = site.get("/x", tls=is_tls, headers=cookie(clone))
            assert (answer.status, answer.json["clone"]) == (200, clone)
            assert way_of(shielded[clone]) == way
    site.cfg.change(site, both_ways(shielded, only="https"))
    assert site.get("/x", headers=cookie("A")).json["clone"] == "A"
    assert way_of(shielded["A"]) == "https"


def test_a_server_that_nobody_trusts_gets_nothing(plugin, shielded, workdir):
    site = plugin(both_ways(shielded, only="https"),
                  before=TRUST.format(workdir), tls=True)
    for tag_ in ("AH02039", "AH02003", "AH01084", "AH01097", "AH01114",
                 "SSL Library Error", "AH00898", "AH02282"):
        site.log.allow(tag_)
    allow_dead(site)
    assert site.get("/x", headers=cookie("A")).status == 200
    shielded["B"].forget()
    site.get("/x", headers=cookie("B"))
    assert shielded["B"].requests == []


def test_https_without_an_engine_is_an_error_that_names_the_transport(
        httpd, plugin, workdir, clones):
    one = clones("A")
    only = config(uris("URIs", "/*"), hosts("hosts", "*:*"), cluster(
        "Shop", [server(one["A"], [("https", 9443)])]), route("Shop"))
    site = httpd("", start=False, own=OWN, name="checked")
    file = PluginFile(workdir, only)
    code, said = site.configtest(file.directive)
    assert code != 0 and re.search(
        r"plugin-cfg.xml:\d+: cluster Shop can be reached at the https "
        r"transport 127.0.0.1:9443 only; say SSLProxyEngine On", said), said
    both = config(uris("URIs", "/*"), hosts("hosts", "*:*"), cluster(
        "Shop", [server(one["A"], [("https", 9443),
                                   ("http", one["A"].port)])]), route("Shop"))
    site = plugin(both)
    assert "SSLProxyEngine is not On" in site.log.expect("CR0407")
    assert site.get("/").status == 200
    site.cfg.spoil(site, only, "https transport")
    assert site.get("/").status == 200


# ---- what httpd -t says

def test_httpd_t_names_file_line_and_reason(httpd, workdir):
    site = httpd("", start=False, own=OWN)
    file = PluginFile(workdir, "")
    for text, wanted in BAD:
        file.write(text)
        code, said = site.configtest(file.directive)
        assert code != 0 and "AH00526" in said, said
        assert re.search(r"ProxyCloneConfig: \S*" + wanted, said), said
    for name, reason in (("none.xml", "No such file"), (".", "directory")):
        code, said = site.configtest(f"ProxyCloneConfig {workdir}/{name}\n")
        assert code != 0 and reason in said, said
    file.write(simple({}))
    assert site.configtest(file.directive) == (0, "Syntax OK\n")
