# SPDX-License-Identifier: Apache-2.0
"""What a test of the configuration refuses, so that no reload ends a server;
and what a reload that nobody tested does."""

import os
import re

import pytest

from backend import balancer
from client import Jar
from httpd import STOCK
from process import wait_until
from router import MANAGER, OWN, SHOW, allow_nobody, shown
from session_site import secret_file

ROUTED = """<Proxy balancer://x>
BalancerMember http://127.0.0.1:1 route=A
ProxySet stickysession=JSESSIONID
ProxyCloneRouting On
</Proxy>
"""
BAD_SECRETS = [
    (None, 0o600, "CR0121"),
    ("short\n", 0o600, "CR0123: .* one secret a line, as `openssl rand"),
    ("", 0o600, "CR0123: [^,]*/ring: holds no secret; "),
    ("x" * 40, 0o644, "CR0122"),
]


def put(path, text, mode):
    if os.path.exists(path):
        os.unlink(path)
    if text is not None:
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)


def level(line):
    return re.search(r"\[proxy_balancer_clone:(\w+)\]", line).group(1)


@pytest.mark.parametrize("text, mode, says", BAD_SECRETS)
def test_a_bad_file_of_secrets_fails_the_test(httpd, workdir, text, mode,
                                              says):
    path = os.path.join(workdir, "ring")
    put(path, text, mode)
    server = httpd("", start=False, own=OWN)
    code, said = server.configtest(f"ProxyCloneCookieSecretFile {path}\n")
    assert code != 0 and re.search(says, said), said
    secret_file(workdir, name="ring")
    assert server.configtest(f"ProxyCloneCookieSecretFile {path}\n") == (
        0, "Syntax OK\n")


def without(monkeypatch, *names):
    monkeypatch.setattr("httpd.STOCK", [
        name for name in STOCK
        if not any(name.startswith(prefix) for prefix in names)])


@pytest.mark.parametrize("routing", [
    ROUTED, ROUTED.replace("ProxyCloneRouting On", "ProxySet lbmethod=clone"),
    "ProxyCloneRouting On\n" + ROUTED.replace("ProxyCloneRouting On\n", ""),
    "<VirtualHost *>\n" + ROUTED + "</VirtualHost>\n"])
@pytest.mark.parametrize("gone, says", [
    (("lbmethod_",), r"CR0103: .*: balancer://x: there is no lbmethod"),
    (("proxy_balancer", "lbmethod_", "proxy_hcheck"),
     r"CR0106: .*: balancer://x is to be routed, but mod_proxy_balancer is "
     r"not loaded.* add LoadModule proxy_balancer_module"),
])
def test_a_module_that_is_not_loaded_fails_the_test(httpd, monkeypatch,
                                                    routing, gone, says):
    without(monkeypatch, *gone)
    server = httpd("", start=False, own=OWN)
    code, said = server.configtest(routing)
    assert code != 0 and re.search(says, said), said
    # what is not routed needs neither
    assert server.configtest(routing.replace("ProxyCloneRouting On", "")
                             .replace("ProxySet lbmethod=clone", "")) == (
        0, "Syntax OK\n")


def test_plugin_cfg_without_mod_proxy_balancer_fails_the_test(
        httpd, monkeypatch, workdir):
    without(monkeypatch, "proxy_balancer", "lbmethod_", "proxy_hcheck")
    path = os.path.join(workdir, "plugin-cfg.xml")
    put(path, """<?xml version="1.0"?>
<Config>
  <ServerCluster Name="c">
    <Server Name="a" CloneID="A">
      <Transport Hostname="127.0.0.1" Port="9080" Protocol="http"/>
    </Server>
    <PrimaryServers><Server Name="a"/></PrimaryServers>
  </ServerCluster>
  <VirtualHostGroup Name="h"><VirtualHost Name="*:*"/></VirtualHostGroup>
  <UriGroup Name="u"><Uri Name="/*"/></UriGroup>
  <Route ServerCluster="c" UriGroup="u" VirtualHostGroup="h"/>
</Config>
""", 0o644)
    server = httpd("", start=False, own=OWN)
    code, said = server.configtest(f"ProxyCloneConfig {path}\n")
    assert code != 0 and "CR0106: ProxyCloneConfig" in said, said


# ---- a reload that nobody tested

NAME = "ROUTE"


def site_conf(clones, before=""):
    text = balancer(clones).replace(
        "ProxySet stickysession=JSESSIONID|jsessionid",
        "ProxySet nofailover=Off").replace(
        "</Proxy>", f"ProxyCloneRouting On\nProxyCloneCookie {NAME}\n"
                    "</Proxy>")
    return MANAGER + SHOW + before + text


def ask(server, jar=None, **kw):
    answer = server.get("/", jar=jar, **kw)
    return answer.json["clone"], shown(answer)["reason"]


@pytest.mark.parametrize("text, mode, says", BAD_SECRETS)
def test_secrets_that_were_read_once_stay(httpd, workdir, clones, text, mode,
                                          says):
    two = clones("A", "B", profile="none")
    path = secret_file(workdir, name="ring")
    server = httpd(site_conf(two, f"ProxyCloneCookieSecretFile {path}\n"),
                   own=OWN)
    jar = Jar()
    first, _ = ask(server, jar)
    put(path, text, mode)
    server.graceful()
    assert level(server.log.expect(says)) == "error"
    said = server.log.expect("CR0125")
    assert f"ProxyCloneCookieSecretFile {path}: not taken, the secrets read " \
        "before stay" in said
    assert ask(server, jar) == (first, "first")


@pytest.mark.parametrize("text, mode, says", BAD_SECRETS)
def test_without_secrets_no_cookie_is_believed_or_set(httpd, workdir, clones,
                                                      text, mode, says):
    two = clones("A", "B", profile="none")
    path = os.path.join(workdir, "ring")
    put(path, text, mode)
    server = httpd(site_conf(two), own=OWN)
    allow_nobody(server)
    jar = Jar()
    first, _ = ask(server, jar)
    plain = {"Cookie": f"{NAME}={jar[NAME]}"}
    assert ask(server, headers=plain) == (first, "first")
    conf = site_conf(two, f"ProxyCloneCookieSecretFile {path}\n")
    before = server.graceful(conf)
    wait_until(lambda: not before & set(server.children()), 10,
               "the end of the children of before")
    assert level(server.log.expect(says)) == "error"
    assert "no secrets were read before" in server.log.expect("CR0125")
    # anybody can write a cookie without a signature
    answers = [server.get("/", headers=plain) for _ in range(4)]
    assert {a.json["clone"] for a in answers} == {"A", "B"}
    assert {shown(a)["reason"] for a in answers} == {"new"}
    assert [a.all("Set-Cookie") for a in answers] == [[]] * 4
    secret_file(workdir, name="ring")
    before = server.graceful(conf)
    wait_until(lambda: not before & set(server.children()), 10,
               "the end of the children of before")
    jar = Jar()
    first, _ = ask(server, jar)
    assert "." in jar[NAME] and ask(server, jar) == (first, "first")
