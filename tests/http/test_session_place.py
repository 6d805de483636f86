# SPDX-License-Identifier: Apache-2.0
"""Edits of the list of nodes, and web servers that are set up otherwise."""

import base64
import hashlib
import hmac
import time

import pytest

from client import Jar
from process import wait_until
from session_site import HERE, Site, read_secrets, secret_file

SESSIONS = 6
ID = slice(5, 21)           # where the id stands in a cookie's facts


def conf_of(nodes, secret, replicas, zones="", weights=""):
    """zones and weights: one character a node, a space for none."""
    lines = [f"SessionHAServer name={n.name} address={n.address}"
             + (f" zone={zones[i]}" if zones else "")
             + (f" weight={weights[i]}" if weights else "")
             for i, n in enumerate(nodes)]
    return "\n".join(lines + [f"SessionHASecretFile {secret}",
                              "SessionHATimeBudget 2s",
                              f"SessionHAReplicas {replicas}",
                              f"SessionHA On\n{HERE}\n"])


@pytest.fixture
def secret(workdir):
    return secret_file(workdir)


def sessions(site, count=SESSIONS):
    jars = [Jar() for _ in range(count)]
    for i, jar in enumerate(jars):
        site.set(jar, n=i)
    return jars


def all_there(site, jars, **more):
    for i, jar in enumerate(jars):
        assert site.session(jar) == {"n": str(i), **more}, site.log.text[-3000:]


def reload(server, conf, how):
    if how == "graceful":
        server.graceful(conf)
    else:
        server.stop()
        server.write_conf(conf)
        server.start()
    server.log.expect("HA0143")


def wait_told(nodes, server):
    """Until the nodes know what this web server is set up by."""
    wait_until(lambda: all(f":{server.port}".encode()
                           in (n.get("ha1-fleet") or b"") for n in nodes),
               20, "entry of the web server on all nodes")


# Nodes by letters, with zones and weights, before and after.
EDITS = {
    "one more": ("ab", "", "", "abc", "", ""),
    "one less": ("abc", "", "", "ac", "", ""),
    "weights": ("abc", "", "119", "abc", "", "911"),
    "zones": ("abc", "xxy", "", "abc", "yxx", ""),
    "all others": ("ab", "", "", "cd", "", ""),
}


# After a full restart the nodes tell what the list was: one must have stayed.
@pytest.mark.parametrize("edit,replicas,how", [
    (edit, replicas, how) for edit in EDITS
    for replicas, how in ((1, "graceful"), (2, "full"))
    if (edit, how) != ("all others", "full")])
def test_nobody_is_logged_out_by_an_edit(httpd, memcacheds, secret, edit,
                                         replicas, how):
    old, zones, weights, new, new_zones, new_weights = EDITS[edit]
    named = dict(zip("abcd", memcacheds(4, names=list("abcd"))))
    site = Site(httpd(conf_of([named[c] for c in old], secret, replicas,
                              zones, weights)))
    jars = sessions(site)
    wait_told([named[c] for c in old], site.server)
    reload(site.server, conf_of([named[c] for c in new], secret, replicas,
                                new_zones, new_weights), how)
    all_there(site, jars)
    for jar in jars:
        assert site.set(jar, m="2").status == 200
    for c in set(old) - set(new):
        named[c].kill9()
    site.log.allow("HA0212")
    all_there(site, jars, m="2")


def test_a_removed_node_that_is_dead_loses_nothing(httpd, memcacheds, secret):
    nodes = memcacheds(3)
    site = Site(httpd(conf_of(nodes, secret, 2)))
    jars = sessions(site)
    nodes[1].kill9()
    site.log.allow("HA0212")
    reload(site.server, conf_of([nodes[0], nodes[2]], secret, 2), "graceful")
    all_there(site, jars)
    wait_until(lambda: site.log.has("HA0212") or not site.told(jars[0]), 20,
               "the dead node down")
    assert site.server.get("/cgi-bin/app").status == 200
    all_there(site, jars)


def test_servers_with_old_and_new_list_see_each_other(httpd, memcacheds,
                                                      secret):
    """The one reloaded first writes where the other one reads."""
    nodes = memcacheds(4)
    old, new = conf_of(nodes[:2], secret, 1), conf_of(nodes[2:], secret, 1)
    first, second = Site(httpd(old)), Site(httpd(old))
    jars = sessions(first)
    reload(first.server, new, "graceful")
    for site in (first, second):
        site.log.allow("HA0140|HA0141|HA0143")
    for i, jar in enumerate(jars):
        first.set(jar, a=i)
        second.set(jar, b=i)
        assert first.session(jar) == {"n": str(i), "a": str(i), "b": str(i)}
        assert second.session(jar) == {"n": str(i), "a": str(i), "b": str(i)}
    fresh = sessions(first)
    all_there(second, fresh)
    fresh[0] = Jar()
    second.set(fresh[0], n=0)
    second.server.graceful(new)
    all_there(first, fresh)
    all_there(second, fresh)


def test_a_new_web_server_learns_the_old_list_from_the_nodes(
        httpd, memcacheds, secret):
    nodes = memcacheds(3)
    old, new = conf_of(nodes[:2], secret, 1), conf_of(nodes, secret, 1)
    first = Site(httpd(old))
    jars = sessions(first)
    wait_told(nodes[:2], first.server)
    first.log.allow("HA0140")
    other = Site(httpd(new))
    other.log.allow("HA0140")
    other.log.expect("HA0143")
    all_there(other, jars)


# ---- the entries of web servers -------------------------------------------

def mac(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


def signed(text, secret):
    key = mac(mac(secret.encode(), b"mod_session_ha cookie 1"),
              b"mod_session_ha fleet 1")
    return text.encode() + b"mac " + mac(key, text.encode()).hex().encode() \
        + b"\n"


def entry(used, node, secret):
    now = int(time.time())
    return signed(f"member 00000000000000ff {now} 0011223344556677 other:1\n"
                  f"list {now - 4000} 1\nnode 1 {node.name} = {node.address}\n"
                  f"list {used} 1\nnode 1 gone =z {node.address}\n", secret)


def put(node, item):
    node.command(f"set ha1-fleet 0 0 {len(item)}\r\n{item.decode()}",
                 (b"STORED\r\n",))


@pytest.mark.parametrize("age,asked", [(60, True), (7200, False)])
def test_a_list_is_asked_for_a_lifetime_after_its_use(httpd, memcacheds,
                                                      secret, age, asked):
    """The entry is made here, as docs/protocol.md says."""
    here, gone = memcacheds(2, names=["here", "gone"])
    conf = conf_of([here], secret, 1)
    item = entry(int(time.time()) - age, gone, read_secrets(secret)[0])
    put(here, item)
    site = Site(httpd(conf))
    site.log.allow("HA0140|HA0142|HA0143")
    wait_told([here], site.server)
    gone.asked()
    sessions(site, 4)
    assert bool(gone.asked()) == asked
    assert site.log.has("HA0143") == asked


def test_a_forged_entry_leads_nowhere(httpd, memcacheds, secret):
    here, gone = memcacheds(2, names=["here", "gone"])
    put(here, entry(int(time.time()), gone, "x" * 43))
    site = Site(httpd(conf_of([here], secret, 1)))
    assert "secrets" in site.log.expect("HA0140", timeout=20)
    sessions(site, 4)
    assert gone.stats()["cmd_get"] == 0
    assert not site.log.has("HA0143")


def test_a_difference_is_told_once_and_its_end_too(httpd, memcacheds, secret,
                                                   workdir):
    nodes = memcacheds(3)
    same = conf_of(nodes, secret, 2)
    one = Site(httpd(same))
    other = httpd(same)
    wait_told(nodes, other)
    assert not one.log.has("HA0140")
    keys = secret_file(workdir, name="more")
    with open(keys, "r+") as f:
        more = f.read()
        f.seek(0)
        f.write("\n".join(read_secrets(secret)) + "\n" + more)
    other.graceful(conf_of(nodes[:2], keys, 1))
    other.log.expect("HA0143")
    line = one.log.expect("HA0140", timeout=20)
    assert "nodes, replicas and secrets" in line
    assert f":{other.port} " in line
    assert f":{one.server.port} " in other.log.expect("HA0140", timeout=20)
    other.graceful(same)
    one.log.expect("HA0141", timeout=20)
    other.log.expect("HA0141", timeout=20)
    assert one.log.text.count("HA0140") == 1
    item = nodes[0].get("ha1-fleet").decode()
    for text in read_secrets(keys):
        assert text not in item


def test_what_a_node_holds_at_the_key_cannot_harm(httpd, memcacheds, secret):
    nodes = memcacheds(2)
    nodes[0].command("set ha1-fleet 0 0 6\r\nmember", (b"STORED\r\n",))
    put(nodes[1], b"\n".join([b"member", b"list 1 1", b"node 1 a =b c",
                              b"mac 0", b"member 0 0 0 0\n"]))
    site = Site(httpd(conf_of(nodes, secret, 2)))
    all_there(site, sessions(site, 2))
    wait_told(nodes, site.server)


# ---- nodes that come back --------------------------------------------------

def status(site, name):
    text = site.server.get("/server-status?auto").text
    return int(dict(line.split(": ", 1) for line in text.splitlines()
                    if ": " in line)[f"SessionHA{name}"])


STATUS = "<Location /server-status>\nSetHandler server-status\n</Location>\n"


def test_a_node_that_returns_empty_gets_what_it_missed(httpd, memcacheds,
                                                       secret):
    """Nobody uses the sessions meanwhile, and then the other owner dies."""
    nodes = memcacheds(2)
    site = Site(httpd(conf_of(nodes, secret, 2)
                      + STATUS + "SessionHARefillRate 1000\n"))
    site.log.allow("HA0212|HA0211|HA0213")
    jars = sessions(site, 1)
    nodes[0].kill9()
    with site.server.client() as client:
        for i in range(1, 200):
            jars.append(Jar())
            client.get(f"/cgi-bin/app?n={i}", jar=jars[i])
    key = jar_key(jars[7])
    nodes[0].start()
    wait_until(lambda: set(nodes[0].keys())
               >= {jar_key(jar) for jar in jars[1:]}, 60, "199 sessions")
    assert nodes[0].ttl(key) <= nodes[1].ttl(key) + 1
    wait_until(lambda: status(site, "RefillPending") == 0, 20, "an end")
    assert status(site, "Refilled") >= 199
    assert status(site, "RefillDropped") == 0
    site.log.expect("HA0231", timeout=20)
    nodes[1].kill9()
    for i in (1, 50, 100, 150, 199):
        assert site.session(jars[i]) == {"n": str(i)}


def jar_key(jar):
    """The key in the store of a cookie's session, as docs/protocol.md says."""
    facts = jar["HASESSION"].split(".")[0]
    raw = base64.urlsafe_b64decode(facts + "=" * (-len(facts) % 4))
    digest = hashlib.sha256(b"mod_session_ha session 1" + raw[ID]).digest()
    return "ha1:" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_rate_of_zero_copies_nothing_back(httpd, memcacheds, secret):
    nodes = memcacheds(2)
    site = Site(httpd(conf_of(nodes, secret, 2)
                      + STATUS + "SessionHARefillRate 0\n"))
    site.log.allow("HA0212|HA0211|HA0213")
    nodes[0].kill9()
    jar, = sessions(site, 1)
    assert status(site, "RefillPending") == 0
    nodes[0].start()
    wait_until(lambda: site.told(jar)["copies"] == "2/2", 20, "repair by use")
