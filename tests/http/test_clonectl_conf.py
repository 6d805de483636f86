# SPDX-License-Identifier: Apache-2.0
"""clonectl-conf says what is wrong with a plugin-cfg.xml, and where a request
would go and why."""

import json
import os
import subprocess

import pytest

from httpd import ROOT, our_module

SEEDS = os.path.join(ROOT, "tests", "fuzz", "corpus", "clone_plugin")

SHOP = """<Config>
<VirtualHostGroup Name="h"><VirtualHost Name="*:80"/>
<VirtualHost Name="shop.example.com:443"/></VirtualHostGroup>
<ServerCluster Name="shop">
<Server Name="one" CloneID="v1"><Transport Hostname="h1" Port="9080"/></Server>
<Server Name="two" CloneID="v2"><Transport Hostname="h2" Port="9080"/>
<Transport Hostname="h2" Port="9443" Protocol="https">
<Property Name="keyring" Value="k.kdb"/></Transport></Server>
<Server Name="old" CloneID="v3" LoadBalanceWeight="0">
<Transport Hostname="h3" Port="9080"/></Server>
<Server Name="spare" CloneID="v4"><Transport Hostname="h4" Port="9080"/>
</Server>
<PrimaryServers><Server Name="one"/><Server Name="two"/><Server Name="old"/>
</PrimaryServers><BackupServers><Server Name="spare"/></BackupServers>
</ServerCluster>
<UriGroup Name="u"><Uri Name="/shop/*" AffinityCookie="SHOP"/></UriGroup>
<Route ServerCluster="shop" VirtualHostGroup="h" UriGroup="u"/>
</Config>
"""


def tool(*words, text=None):
    """Run it; returns (exit status, standard output, standard error)."""
    out = os.path.dirname(os.path.dirname(our_module("proxy_balancer_clone")))
    done = subprocess.run([os.path.join(out, "tools", "clonectl-conf"),
                           *words], input=text, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def seed(name):
    return os.path.join(SEEDS, name)


def where(*words, text=SHOP):
    """The answer as JSON, and the servers in the order they are asked."""
    options = [word for word in words if word.startswith("--down=")]
    words = [word for word in words if word not in options]
    down = [part for word in options for part in word.split("=")]
    code, said, _ = tool("where", "--json", *down, "-", *words, text=text)
    answer = json.loads(said)
    assert (code == 0) == answer["is_routed"]
    return answer, [(one["server"], one["reason"])
                    for one in answer.get("order", [])]


# ---- lint

@pytest.mark.parametrize("name, code", [
    ("liberty_one_server", 0), ("crlf", 0), ("bom", 0),
    ("all", 1), ("websphere_cluster", 1), ("latin1_claims_utf8", 1),
    ("names_twice", 1), ("bare", 1),
    ("entity_bomb", 2), ("external_entity", 2), ("utf16", 2), ("nested", 2),
    ("truncated", 2), ("mismatched", 2), ("bad_values", 2),
    ("attributes", 2), ("long_value", 2), ("empty", 2),
])
def test_the_exit_status_says_how_bad_it_is(name, code):
    status, said, errors = tool("lint", seed(name))
    assert (status, errors) == (code, ""), said
    status, said, _ = tool("lint", "--json", seed(name))
    counts = json.loads(said)
    assert status == code
    assert (counts["errors"] > 0) == (code == 2)
    assert code == 2 or (counts["warnings"] > 0) == (code == 1)


def test_a_finding_has_file_line_severity_and_kind():
    code, said, _ = tool("lint", seed("websphere_cluster"))
    assert f"{seed('websphere_cluster')}:20: warning: CloneID 'v544d0' " \
        "begins CloneID 'v544d031' of line 14" in said
    assert said.endswith(": 0 errors, 6 warnings, 4 notes\n")
    lines = said.splitlines()[:-1]
    assert len(lines) == 10 and all(line.endswith("]") for line in lines)
    found = json.loads(tool("lint", "--json", seed("websphere_cluster"))[1])
    assert {"line": 20, "severity": "warning", "kind": "dangerous"}.items() \
        <= [one for one in found["findings"] if one["line"] == 20][0].items()


def test_all_errors_of_a_file_are_told_at_once():
    code, said, _ = tool("lint", seed("bad_values"))
    for part in ("RefreshInterval must be a number from -1", "'fast'",
                 "IgnoreDNSFailures must be true or false, not 'maybe'",
                 "host:port, not 'a:b'", "RetryInterval must be", "not '0'"):
        assert part in said


def test_what_a_terminal_obeys_does_not_reach_it():
    code, said, _ = tool("lint", "-", text='<Config A\x9b2J="1">\x85</Config>')
    assert code in (1, 2)
    assert "\x9b" not in said and "\x85" not in said


def test_a_file_of_more_bytes_than_allowed_is_refused(workdir):
    path = os.path.join(workdir, "huge.xml")
    with open(path, "w") as f:
        f.write("<Config>" + " " * (8 * 1024 * 1024) + "</Config>")
    code, said, _ = tool("lint", path)
    assert code == 2
    assert said.startswith(f"{path}: error: the file has more than 8388608")


@pytest.mark.parametrize("words", [
    [], ["lint"], ["lint", "a", "b"], ["lint", "--what", "a"], ["what", "a"],
    ["lint", "--down", "x", "a"], ["where", "a", "host"],
    ["where", "a", "host", "shop"], ["where", "a", "host:x", "/"],
    ["where", "a", "host:0", "/"], ["where", "a", "", "/"],
    ["where", "a", "host", "/", "c", "d"], ["where", "--down"],
])
def test_wrong_usage_is_told(words):
    code, said, errors = tool(*words)
    assert (code, said) == (3, "")
    assert errors.startswith("usage: clonectl-conf lint")


@pytest.mark.parametrize("words, wrong", [
    (["where", "a", "www:99999", "/"], "HOST is a name, and a port, where "
     "there is one, from 1 to 65535, not 'www:99999'"),
    (["where", "a", "www:4294967376", "/"], "HOST is a name, and a port, where "
     "there is one, from 1 to 65535, not 'www:4294967376'"),
    (["where", "a", "www: 80", "/"], "HOST is a name, and a port, where "
     "there is one, from 1 to 65535, not 'www: 80'"),
    (["where", "a", "www", "shop"], "URI begins with '/', not 'shop'"),
    (["where", "a", "www"], "where wants FILE, HOST and URI, and at most a "
     "COOKIE"),
    (["where", "--down"], "--down wants a server"),
    (["where", "--up", "a"], "an option is --json or --down SERVER, not "
     "'--up'"),
    (["lint"], "FILE is missing"), (["lint", "a", "b"],
                                    "lint wants FILE alone"),
    (["what", "a\x1b[2J"], "what to do is lint or where, not 'what'"),
    (["where", "a", "\x1b[2J:0", "/"], "HOST is a name, and a port, where "
     "there is one, from 1 to 65535, not '?[2J:0'"),
])
def test_the_word_that_is_wrong_is_said_last(words, wrong):
    code, _, errors = tool(*words)
    assert code == 3 and errors.splitlines()[-1] == f"clonectl-conf: {wrong}"


def test_a_server_that_is_not_in_the_file_cannot_be_away():
    """--down with a slip would tell where requests go while all are there."""
    code, said, errors = tool("where", "--down", "two", "--down", "s9", "-",
                              "h", "/shop/x", text=SHOP)
    assert (code, said) == (3, "")
    assert errors == ("clonectl-conf: --down: no server of -, and no clone id, "
                      "is 's9'\n")
    code, _, errors = tool("where", "--down", "ClusterAddress", "-", "h",
                           "/shop/x", text=SHOP)
    assert code == 3 and "'ClusterAddress'" in errors


def test_a_file_that_is_not_there_is_told(workdir):
    path = os.path.join(workdir, "none.xml")
    for words in (["lint", path], ["where", path, "h", "/"],
                  ["lint", workdir]):
        code, said, errors = tool(*words)
        assert (code, said) == (3, "")
        assert errors.startswith(f"clonectl-conf: {words[1]}: ")
    assert tool("--help")[0] == 0


# ---- where

def test_it_says_how_the_route_was_found():
    answer, _ = where("shop.example.com:443", "/shop/x?y=/z")
    assert answer["vhost"] == "shop.example.com:443"
    assert answer["vhost_line"] == 3
    assert answer["uri"] == "/shop/*" and answer["uri_line"] == 16
    assert answer["route_line"] == 17
    assert answer["cluster"] == "shop" and answer["cluster_line"] == 4
    assert answer["cookie"] == "SHOP"
    code, said, _ = tool("where", "-", "h", "/shop", text=SHOP)
    assert code == 0
    assert "host       *:80 (line 2)\nuri        /shop/* (line 16)\n" in said


def test_what_no_route_matches_falls_through():
    for host, uri in (("h:81", "/shop/x"), ("h", "/shops"), ("h", "/")):
        assert where(host, uri)[0] == {"is_routed": False}
        code, said, _ = tool("where", "-", host, uri, text=SHOP)
        assert code == 1 and said.startswith("no route: ")


def test_the_clone_that_the_session_names_is_first_and_then_its_list():
    answer, order = where("h", "/shop/x", "a=b; SHOP=0000s:v2:v1; c=d")
    assert answer["clone_ids"] == ["v2", "v1"]
    assert order[:2] == [("two", "first"), ("one", "next")]
    assert order[2:] == [("spare", "failover")]
    assert where("h", "/shop/x", "0000s:v2:v1")[1] == order
    assert where("h", "/shop/x;jsessionid=0000s:v2:v1")[1] == order


def test_a_cookie_of_another_name_is_no_session():
    answer, order = where("h", "/shop/x", "JSESSIONID=0000s:v2")
    assert answer["sessions"] == 0 and order == []
    assert [one["server"] for one in answer["balanced"]] == ["one", "two"]


def test_a_server_that_is_away_is_passed_over():
    cookie = "SHOP=0000s:v2"
    assert where("--down=v2", "h", "/shop/x", cookie)[1] == \
        [("one", "failover"), ("spare", "failover")]
    assert where("--down=one", "--down=two", "h", "/shop/x", cookie)[1] == \
        [("spare", "failover")]
    answer, _ = where("--down=one", "--down=two", "h", "/shop/x")
    assert [one["server"] for one in answer["balanced"]] == ["spare"]
    answer, order = where("--down=one", "--down=two", "--down=spare",
                          "h", "/shop/x", cookie)
    assert order == [] and answer["balanced"] == []


def test_weight_0_keeps_its_own_sessions_and_gets_no_others():
    assert where("h", "/shop/x", "SHOP=0000s:v3")[1][0] == ("old", "first")
    assert "old" not in [name for name, _ in
                         where("h", "/shop/x", "SHOP=0000s:v9")[1]]


def test_the_address_is_as_secure_as_the_client_s_connection():
    answer, _ = where("https://shop.example.com", "/shop/x", "0000s:v2")
    assert answer["order"][0]["address"] == "https://h2:9443"
    answer, _ = where("shop.example.com", "/shop/x", "0000s:v2")
    assert answer["order"][0]["address"] == "http://h2:9080"


def test_a_cluster_s_address_takes_what_has_no_session():
    text = SHOP.replace("<PrimaryServers>", """<ClusterAddress Name="b">
<Transport Hostname="ipb" Port="80"/>
<Transport Hostname="ipb" Port="443" Protocol="https"/>
</ClusterAddress><PrimaryServers>""")
    for host, address in (("h", "http://ipb:80"),
                          ("https://shop.example.com", "https://ipb:443")):
        answer, _ = where(host, "/shop/x", text=text)
        assert [(one["server"], one["role"], one["address"])
                for one in answer["balanced"]] == \
            [("ClusterAddress", "address", address)]
    _, said, _ = tool("where", "-", "h", "/shop/x", text=text)
    assert said.endswith("goes to    ClusterAddress (http://ipb:80, line 14): "
                         "takes what has no session\n")
    # a session goes to its clone, and there at the very end
    _, order = where("h", "/shop/x", "SHOP=0000s:v2", text=text)
    assert order[0] == ("two", "first")
    assert order[-2:] == [("spare", "failover"),
                          ("ClusterAddress", "failover")]
    answer, _ = where("--down=ClusterAddress", "h", "/shop/x", text=text)
    assert [one["server"] for one in answer["balanced"]] == ["one", "two"]
    # where a server stands at it, there is no other member
    answer, _ = where("h", "/shop/x", text=text.replace(
        '"ipb" Port="80"', '"h1" Port="9080"'))
    assert [one["server"] for one in answer["balanced"]] == ["one", "two"]


def test_no_session_id_is_printed():
    for words in ([], ["--json"]):
        _, said, _ = tool("where", *words, "-", "h", "/shop/x",
                          "SHOP=0000SECRETSESSION:v2", text=SHOP)
        assert "v2" in said and "SECRET" not in said


def test_a_bad_file_has_no_answer_but_reasons():
    code, said, _ = tool("where", "-", "h", "/", text="<Config>\n<Route/>")
    assert code == 2
    assert said.startswith("-:1: error: ")
