# SPDX-License-Identifier: Apache-2.0
"""What single settings of plugin-cfg.xml do to requests."""

import select

import pytest

from plugin_cfg import cluster, config, hosts, route, server, simple, uris
from router import cookie, served
from websocket import Socket, SocketClone


def by_mode(*modes, path="/shop"):
    """A path at which clones behave: by_mode("A close", "B hang")."""
    return path + "".join(f"/mode/{clone}/{word}" for clone, word
                          in (mode.split() for mode in modes)) + "/x"


def test_time_outs_are_tried_again_as_often_as_the_file_says(plugin, clones):
    three = clones("A", "B", "C")

    def text(retries):
        return config(
            hosts("hosts", "*:*"), uris("URIs", "/*"),
            cluster("Shop", [server(c, ServerIOTimeout=1)
                             for c in three.values()],
                    ServerIOTimeoutRetry=retries), route("Shop"))

    site = plugin(text(0), before="<Proxy balancer://shop>\n"
                  "ProxyCloneReplay idempotent 3\n</Proxy>\n")
    for line in ("AH", "CR0220"):
        site.log.allow(line)
    both = by_mode("A hang", "B hang")
    wanted = {0: (504, "A"), 1: (504, "AB"), 2: (200, "ABC"), -1: (200, "ABC")}
    for retries, (status, asked) in wanted.items():
        if retries:
            site.cfg.change(site, text(retries))
        for clone in three.values():
            clone.forget()
        assert site.get(both, headers=cookie("A", "B")).status == status
        assert [i for i, c in three.items() if c.requests] == list(asked)
    site.cfg.change(site, text(0))
    # a connection that breaks is no time-out
    assert served(site.get(by_mode("A reset"),
                           headers=cookie("A", "B")))[0] == "B"
    site.log.expect(r"CR0220: .* \(timeouts\)")


def test_a_body_is_held_up_to_the_buffer_size_of_the_file(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two))
    for line in ("AH", "CR0220"):
        site.log.allow(line)
    # kB in the file; bytes that are sent again, bytes that are not
    for size, held, lost in (
            (None, 65536, 65537), (1, 1024, 1025), (0, None, 1),
            (-1, 3_000_000, None)):
        if size is not None:
            site.cfg.change(site, simple(two, PostBufferSize=size))
        for length, status in ((held, 200), (lost, 502)):
            if length is None:
                continue
            for is_chunked in (False, True):
                answer = site.request("PUT", by_mode("A reset"),
                                      body=b"x" * length, chunked=is_chunked,
                                      headers=cookie("A", "B"))
                assert answer.status == status, (size, length, is_chunked)
                if status == 200:
                    assert answer.json["body_len"] == length


def test_the_buffer_size_of_a_balancer_s_own_section_wins(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two, PostBufferSize=0),
                  before="<Proxy balancer://shop>\n"
                         "ProxyCloneBodyFile 1000\n</Proxy>\n")
    for line in ("AH", "CR0220"):
        site.log.allow(line)
    for length, status in ((1000, 200), (1001, 502)):
        assert site.request("PUT", by_mode("A reset"), body=b"x" * length,
                            headers=cookie("A", "B")).status == status


def test_the_port_that_is_told_is_the_one_the_file_prefers(plugin, clones):
    one = clones("A")

    def text(word):
        return simple(one).replace("<Config", "<Config "
                                   f'AppServerPortPreference="{word}"', 1)

    site = plugin(text("HostHeader"))
    for word, port in (("HostHeader", 8443), ("WebserverPort", site.port),
                       ("HostHeader", 8443)):
        if word == "WebserverPort" or one["A"].requests:
            site.cfg.change(site, text(word))
        site.get("/shop/x", headers={"Host": "shop.example:8443"})
        seen = one["A"].requests[-1]["headers"]
        assert seen["$wssp"] == str(port)
        assert seen["host"] == "shop.example:8443"


def test_a_body_waits_for_100_continue_where_the_file_says_so(plugin, clones):
    two = clones("A", "B")

    def text(waits):
        return config(
            hosts("hosts", "*:*"), uris("URIs", "/*"),
            cluster("Shop", [server(c, ServerIOTimeout=1,
                                    WaitForContinue=waits)
                             for c in two.values()]), route("Shop"))

    def expected(method):
        site.request(method, "/x", headers=cookie("A"),
                     body=b"x" * 1000 if method == "POST" else None)
        return two["A"].requests[-1]["headers"].get("expect")

    site = plugin(text("false"))
    site.log.allow("AH|CR0220")
    assert expected("POST") is None
    site.cfg.change(site, text("true"))
    assert expected("POST").lower() == "100-continue"
    assert expected("GET") is None
    # who does not say it has not got the body: another one may be asked
    two["A"].freeze()
    answer = site.post("/x", body=b"x" * 1000, headers=cookie("A", "B"))
    assert served(answer)[0] == "B" and answer.json["body_len"] == 1000
    two["A"].thaw()
    site.cfg.change(site, text("false"))
    assert expected("POST") is None


@pytest.fixture
def sockets():
    """Two clones that speak WebSocket, by id."""
    started = [SocketClone(name, "http") for name in "AB"]
    yield {clone.id: clone for clone in started}
    for clone in started:
        clone.close()


SOCKETS = [  # ServerIOTimeout and httpd's own, WebSocket's, is ended in time
    (30, {"wsServerIdleTimeout": 1}, True),
    (30, {"wsServerIOTimeout": 1}, True),
    (30, {"wsServerIOTimeout": 30, "wsServerIdleTimeout": 1}, True),
    (1, {}, True),
    (1, {"wsServerIdleTimeout": 30}, False),
    (1, {"wsServerIOTimeout": 1, "wsServerIdleTimeout": 30}, False),
    (30, {"wsServerIdleTimeout": 0}, False),
]


@pytest.mark.parametrize("timeout, attributes, is_ended", SOCKETS)
def test_a_quiet_websocket_ends_when_the_file_says_so(
        plugin, sockets, timeout, attributes, is_ended):
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(c, ServerIOTimeout=timeout, **attributes)
                         for c in sockets.values()]), route("Shop")),
        after=f"Timeout {timeout}\n")
    site.log.allow("AH")
    with Socket(site.port, cookie("B")) as ws:
        assert ws.status == 101 and ws.say("one") == "B:one"
        if is_ended:
            # a frame of its own accord is what would come otherwise
            assert ws.stream.read(1) == b""
        else:
            assert select.select([ws.socket], [], [], 3)[0] == []
            assert ws.say("two") == "B:two"


def test_a_handshake_has_the_time_of_any_other_request(plugin, clones):
    one = clones("A")
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(one["A"], ServerIOTimeout=1,
                                wsServerIdleTimeout=30)]), route("Shop")))
    site.log.allow("AH|CR0220")
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade",
               **cookie("A")}
    assert site.get(by_mode("A hang", path=""), headers=upgrade).status == 504
    assert site.get("/x", headers=upgrade).status == 200


def test_a_connection_goes_on_after_a_handshake_that_was_refused(
        plugin, clones):
    two = clones("A", "B")
    site = plugin(config(
        hosts("hosts", "*:*"), uris("URIs", "/*"),
        cluster("Shop", [server(c, wsServerIdleTimeout=1)
                         for c in two.values()]), route("Shop")))
    with site.client() as client:
        for clone in "ABAB":
            upgrade = {"Upgrade": "websocket", "Connection": "Upgrade"}
            for more in (upgrade, {}):
                assert served(client.get("/x", headers={
                    **cookie(clone), **more}))[0] == clone
