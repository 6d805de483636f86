# SPDX-License-Identifier: Apache-2.0
"""mod_auth_form keeps who is logged in; we keep it for mod_auth_form."""

import os

import pytest

from client import Jar
from process import wait_until
from session_site import login, login_conf, nodes_conf, secret_file


@pytest.fixture
def shop(httpd, workdir):
    def factory(conf="", **kw):
        server = httpd(f"SessionHA On\n{conf}\n{login_conf(workdir)}", **kw)
        server.file("private/index.html", "the vault")
        server.log.allow(r"auth_form:error.*(AH01807|AH01808)")
        return server
    return factory


@pytest.mark.parametrize("quick", ["On", "Off"])
def test_a_cache_does_not_serve_one_users_page_to_another(shop, workdir, jar,
                                                          quick):
    folder = os.path.join(workdir, "cache")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    server = shop(f"CacheRoot {folder}\nCacheEnable disk /\n"
                  f"CacheQuickHandler {quick}\n",
                  modules=["cache", "cache_disk"])
    page = server.file("private/index.html", "the vault")
    os.utime(page, (1.7e9, 1.7e9))
    login(server, jar)
    inside = server.get("/private/index.html", jar=jar)
    assert inside.text == "the vault"
    assert inside.header("Cache-Control") == "no-cache, private"
    assert server.get("/private/index.html").status == 401


@pytest.mark.every_mpm
def test_a_user_logs_in_and_out(shop, jar):
    server = shop()
    assert server.get("/private/", jar=jar).status == 401
    assert not jar
    answer = login(server, jar)
    assert answer.status in (301, 302)
    assert len(answer.all("Set-Cookie")) == 1
    assert "HASESSION" in jar
    inside = server.get("/private/", jar=jar)
    assert inside.text == "the vault"
    assert not inside.all("Set-Cookie")
    stolen = Jar(jar)
    out = server.get("/logout", jar=jar)
    assert "Max-Age=0" in out.header("Set-Cookie") and not jar
    assert server.get("/private/", jar=jar).status == 401
    assert server.get("/private/", jar=stolen).status == 401, \
        "the session outlived its logout"


def test_a_wrong_password_makes_no_session(shop, jar):
    server = shop()
    answer = login(server, jar, password="byron")
    assert answer.status == 401 and not answer.all("Set-Cookie")
    assert server.wait_access(1)[0]["save"] == "nothing"


def test_a_login_on_one_server_is_a_login_on_the_other(shop, jar, workdir,
                                                       memcacheds):
    conf = nodes_conf(memcacheds(3), secret_file(workdir))
    one, other = shop(conf), shop(conf)
    login(one, jar)
    assert other.get("/private/", jar=jar).text == "the vault"
    stolen = Jar(jar)
    assert other.get("/logout", jar=jar).status == 200
    assert one.get("/private/", jar=stolen).status == 401


def test_a_dead_store_logs_nobody_out(shop, jar, workdir, memcacheds):
    nodes = memcacheds(2)
    server = shop(nodes_conf(nodes, secret_file(workdir)))
    login(server, jar)
    for node in nodes:
        node.freeze()
    cookie = dict(jar)
    server.log.allow("HA0212")
    answer = server.get("/private/", jar=jar)
    assert answer.status == 503 and answer.header("Retry-After")
    assert not answer.all("Set-Cookie") and jar == cookie
    server.log.expect("HA0304")
    for node in nodes:
        node.thaw()
    server.log.allow("HA0211|HA0214|HA0306")
    wait_until(lambda: server.get("/private/", jar=jar).text == "the vault",
               15, "the vault, as before")
