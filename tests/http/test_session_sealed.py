# SPDX-License-Identifier: Apache-2.0
"""SessionHAEncryption: what stands in memcached, and what is believed of it."""

import base64
import hashlib
import os
import socket
import struct
import time

import pytest

from client import Jar
from process import free_port, wait_until
from session_site import (HERE, Site, nodes_conf, read_secrets, secret_file)

ON = "SessionHAEncryption On\n"


@pytest.fixture
def sealed(httpd, workdir, memcacheds):
    """sealed(conf) -> a site on two memcacheds, as site.nodes."""
    def factory(conf=ON, nodes=None, secret=None, **kw):
        nodes = nodes or memcacheds(2)
        secret = secret or secret_file(workdir)
        base = f"{nodes_conf(nodes, secret)}SessionHA On\n{HERE}\n"
        s = Site(httpd(base + conf, **kw))
        s.nodes, s.secret, s.base = nodes, secret, base
        return s
    return factory


def dump(nodes):
    """Every item of every node: [(node, key, bytes)]."""
    return [(n, key, n.get(key)) for n in nodes for key in n.keys()]


def sessions(nodes):
    """The same of sessions alone; web servers leave notes of their own."""
    return [item for item in dump(nodes) if item[1].startswith("ha1:")]


def session_keys(node):
    return [key for _, key, _ in sessions([node])]


def holds(nodes, *texts):
    return [t for t in texts
            if any(t.encode() in data or t in key
                   for _, key, data in dump(nodes))]


def put(node, key, data):
    """Write an item as whoever can reach a memcached may."""
    with socket.create_connection(("127.0.0.1", node.port), 5) as s:
        s.sendall(b"set %s 0 600 %d\r\n%s\r\n" % (key.encode(), len(data),
                                                  data))
        assert s.recv(100) == b"STORED\r\n"


def clear_record(key, kind, stamp_sec, **attributes):
    """A record in clear, as anybody can make one who knows the key."""
    digest = base64.urlsafe_b64decode(key.split(":", 1)[1] + "=")
    body = b""
    for name, value in attributes.items():
        field = struct.pack(">H", len(name)) + (name + value).encode()
        body += struct.pack(">BI", 1, len(field)) + field
    frame = b"H" + struct.pack(">BBBIQQ", 1, kind, 0, len(body),
                               stamp_sec * 1000000, 7)
    check = hashlib.sha256(digest + frame + body).digest()[:8]
    return frame + check + body


# ---- what a memcached sees --------------------------------------------

@pytest.mark.parametrize("conf", ["", ON])
def test_names_and_values_are_not_to_be_seen(sealed, jar, conf):
    s = sealed(conf)
    s.set(jar, customer="ada-lovelace", basket="analytical-engine")
    s.set(jar, basket="two-engines")
    texts = ["customer", "ada-lovelace", "basket", "analytical-engine",
             "two-engines"]
    assert len(dump(s.nodes)) >= 2
    assert holds(s.nodes, *texts) == ([] if conf else texts)
    assert not holds(s.nodes, jar["HASESSION"].split(".")[0])
    assert s.session(jar) == {"customer": "ada-lovelace",
                              "basket": "two-engines"}
    s.set(dict_jar(jar), customer="", basket="")
    assert holds(s.nodes, *texts) == []
    assert s.told(jar)["load"] == "miss"


def test_a_sealed_session_is_stored_on_all_nodes_and_folded(sealed, jar):
    s = sealed()
    for i in range(20):
        s.set(jar, n=i, **{f"a{i % 3}": i})
    assert s.session(jar)["n"] == "19"
    first, second = (data for _, _, data in sessions(s.nodes))
    assert first == second, "copies differ"
    assert [e["save"] for e in s.server.wait_access(21)][:20] == ["2/2"] * 20


# ---- whoever may write to the nodes -----------------------------------

def test_an_item_under_another_sessions_key_gives_nothing(sealed, jar):
    s = sealed()
    s.set(jar, user="ada")
    adas, = session_keys(s.nodes[0])
    eve = Jar()
    s.set(eve, user="eve")
    eves, = set(session_keys(s.nodes[0])) - {adas}
    for node in s.nodes:
        put(node, eves, node.get(adas))
    assert s.told(eve)["session"] == ""
    assert s.session(jar) == {"user": "ada"}


def test_a_record_of_an_attacker_is_not_believed(sealed, jar):
    s = sealed()
    s.set(jar, role="user")
    key, = session_keys(s.nodes[0])
    good = s.nodes[0].get(key)
    later = int(time.time()) + 5
    forged = [clear_record(key, kind, later, role="admin")
              for kind in (1, 2, 3)]
    # a box that looks like one of ours, under our key's id
    forged.append(clear_record(key, 2, later)[:24] + good[24:])
    for record in forged:
        for data in (record, good + record, record + good):
            for node in s.nodes:
                put(node, key, data)
            answer = s.server.get("/cgi-bin/app", jar=dict_jar(jar))
            assert "admin" not in answer.text
            assert answer.status in (200, 503)
    for node in s.nodes:
        put(node, key, good)
    assert s.session(jar) == {"role": "user"}
    s.log.expect("HA0442")
    s.log.allow("HA0304|HA0440")


def dict_jar(jar):
    """A copy of a jar, which keeps its cookie whatever the answer says."""
    copy = Jar()
    copy.update(jar)
    return copy


# ---- from clear to sealed, and back -----------------------------------

def test_sessions_in_clear_are_taken_over_by_migrate(sealed, jar):
    s = sealed("")
    idle = Jar()
    s.set(jar, user="ada-lovelace")
    s.set(idle, user="eve")
    s.server.graceful(s.base + "SessionHAEncryption Migrate\n")
    wait_until(lambda: s.session(jar) == {"user": "ada-lovelace"}
               and not holds(s.nodes, "ada-lovelace"), 10,
               "the session sealed by being used")
    clear = [item for item in sessions(s.nodes) if b"eve" in item[2]]
    assert len(clear) == 2
    s.server.graceful(s.base + ON)

    def is_refused():
        for item in clear:      # a child of before may have sealed it
            put(*item)
        return s.server.get("/cgi-bin/app", jar=idle).status == 503

    wait_until(is_refused, 10, "what is in clear not believed")
    s.log.expect("HA0442")
    s.log.expect("HA0304")
    assert s.session(jar) == {"user": "ada-lovelace"}
    assert holds(s.nodes, "eve"), "what was not believed is gone"
    s.server.graceful(s.base + "SessionHAEncryption Migrate\n")
    wait_until(lambda: s.server.get("/cgi-bin/app", jar=idle).status == 200,
               10, "the session in clear back")
    assert s.session(idle) == {"user": "eve"}
    s.server.graceful(s.base)
    wait_until(lambda: s.session(jar) and holds(s.nodes, "ada-lovelace"), 10,
               "the session in clear again")


# ---- secrets that come and go -----------------------------------------

def test_what_no_secret_opens_waits_until_one_does(sealed, httpd, workdir,
                                                   jar):
    """Rotation in the wrong order."""
    a = sealed()
    old = read_secrets(a.secret)
    new_first = secret_file(workdir, *old, name="secrets-b")
    b = sealed(nodes=a.nodes, secret=new_first)
    a.set(jar, user="ada")
    kept = dict_jar(jar)
    b.set(dict_jar(jar), city="london")
    before = sessions(a.nodes)
    for _ in range(3):
        assert a.server.get("/cgi-bin/app", jar=kept).status == 503
    assert a.log.expect("HA0440")
    a.log.expect("HA0304")
    a.log.allow("HA0306|HA0441")
    for site in (a, b):
        site.log.allow("HA014[0-9]")
    assert len([l for l in a.log.lines() if "HA0440" in l]) == 1
    assert sessions(a.nodes) == before, "a locked copy was written to"
    with open(a.secret, "a") as f:
        f.write(read_secrets(new_first)[0] + "\n")
    a.server.graceful()
    wait_until(lambda: a.server.get("/cgi-bin/app", jar=kept).status == 200,
               10, "the session opened")
    assert a.session(kept) == {"user": "ada", "city": "london"}


def test_a_session_in_use_is_sealed_anew_by_the_first_secret(sealed, jar):
    s = sealed()
    s.set(jar, user="ada")
    first = [data for _, _, data in sessions(s.nodes)]
    with open(s.secret) as f:
        old = f.read()
    os.unlink(s.secret)
    secret_file(os.path.dirname(s.secret), *old.split())
    s.server.graceful()
    wait_until(lambda: s.session(jar) and not
               {d for _, _, d in sessions(s.nodes)} & set(first), 10,
               "all copies sealed anew")
    with open(s.secret) as f:
        new = f.read().split()[0]
    with open(s.secret, "w") as f:
        f.write(new + "\n")
    s.server.graceful()
    other = Jar()
    wait_until(lambda: s.set(other, a=1).status == 200, 5, "a new child")
    assert s.session(jar) == {"user": "ada"}


BAD = {
    "garbled": ("x" * 40 + "\nshort\n", 0o600, "HA0109: .*line 2"),
    "empty": ("", 0o600, "HA0109"),
    "readable": ("y" * 40 + "\n", 0o644, "HA0108"),
    "missing": (None, 0, "HA0107"),
}


def test_a_file_that_changes_is_read_without_a_restart(httpd, workdir):
    """Five servers at once, for the parent looks every ten seconds."""
    sites, jars = {}, {}
    for name in [*BAD, "good"]:
        folder = os.path.join(workdir, "ring-" + name)
        os.mkdir(folder)
        path = secret_file(folder)
        sites[name] = Site(httpd(f"SessionHA On\n{HERE}\n"
                                 f"SessionHASecretFile {path}\n"))
        sites[name].secret = path
        jars[name] = Jar()
        sites[name].set(jars[name], a=1)
    for name, (text, mode, _) in BAD.items():
        os.unlink(sites[name].secret)
        if text is not None:
            with open(sites[name].secret, "w") as f:
                f.write(text)
            os.chmod(sites[name].secret, mode)
    old = read_secrets(sites["good"].secret)
    secret_file(os.path.dirname(sites["good"].secret), *old)
    begun = jars["good"]["HASESSION"]
    assert "2 secrets" in sites["good"].log.expect("HA0172", 30)
    assert sites["good"].session(jars["good"]) == {"a": "1"}
    assert jars["good"]["HASESSION"] != begun, "not signed anew"
    for name, (_, _, says) in BAD.items():
        s = sites[name]
        s.log.expect("HA0171", 30)
        s.log.expect(says)
        s.set(jars[name], b=2)
        assert s.session(jars[name]) == {"a": "1", "b": "2"}


# ---- what else was asked for ------------------------------------------

def test_session_crypto_is_honoured_by_encryption(sealed, jar):
    s = sealed(ON + """
        SessionCryptoPassphrase secret
        """, modules=["session_crypto"])
    s.set(jar, customer="ada-lovelace")
    s.set(jar, basket="tea")
    assert s.session(jar)["basket"] == "tea"
    assert holds(s.nodes, "customer", "ada-lovelace", "basket") == []


@pytest.mark.parametrize("addresses, conf, warns", [
    (["127.0.0.1:{}", "192.0.2.1:{}"], "", True),
    (["192.0.2.1:{}"], ON, False),
    (["name-of-nobody.invalid:{}"], "", True),
    (["127.3.2.1:{}", "[::1]:{}", "localhost:{}", "unix:/nowhere/{}"], "",
     False),
])
def test_the_start_warns_of_clear_sessions_on_other_hosts(
        httpd, workdir, addresses, conf, warns):
    nodes = "".join(f"SessionHAServer name=n{i} "
                    f"address={address.format(free_port())}\n"
                    for i, address in enumerate(addresses))
    server = httpd(f"{nodes}SessionHASecretFile {secret_file(workdir)}\n"
                   f"SessionHA On\n{conf}")
    server.log.allow("HA0212")
    server.log.expect("HA0115")
    if warns:
        said = server.log.expect("HA0170")
        assert addresses[-1].split(":")[0] in said
        assert "SessionHAEncryption On" in said
    assert server.log.has("HA0170") == warns
