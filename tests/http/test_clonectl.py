# SPDX-License-Identifier: Apache-2.0
"""The command clonectl, run as an administrator runs it."""

import json
import os
import subprocess

import pytest

from admin import ADMIN, Admin
from httpd import ROOT
from process import free_port
from router import OWN, cookie, shop

CLONECTL = os.path.join(ROOT, "tools", "clonectl")
USERS = "ada:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"      # ada, password
GUARD = """AuthType Basic
AuthName clones
AuthBasicProvider file
AuthUserFile {users}
Require valid-user
</Location>"""


class Command:
    """clonectl with a home of its own."""

    def __init__(self, home, url=None):
        self.home = str(home)
        self.env = {"PATH": os.environ["PATH"], "HOME": self.home}
        if url:
            self.env["CLONECTL_URL"] = url

    def __call__(self, *words, status=0, **env):
        done = subprocess.run(
            [CLONECTL, *words], capture_output=True, text=True, timeout=60,
            env={**self.env, **env})
        assert done.returncode == status, (done.returncode, done.stdout,
                                           done.stderr)
        assert (done.stderr == "") == (status in (0, 1)), done.stderr
        return done.stdout or done.stderr


@pytest.fixture
def site(httpd, clones):
    server = httpd(shop(clones("A", "B"), before=ADMIN + "ProxyClone"
                        "SessionIdle 1s\n"), own=OWN)
    server.log.allow("CR0300")
    server.admin = Admin(server)
    return server


def test_a_member_is_taken_out_and_back(site, workdir):
    run = Command(workdir, site.url + "/clones")
    site.get("/", headers=cookie("A"))
    text = run("status")
    assert [line.split()[:3] for line in text.splitlines()] == [
        ["BALANCER", "MEMBER", "STATE"], ["shop", "A", "up"],
        ["shop", "B", "up"]]
    assert "takes-new-sessions" in run("status", "shop", "A")
    assert "draining" in run("drain", "shop", "A")
    assert run("wait", "shop", "A", "--quiet", "0",
               "--timeout", "20").rstrip().endswith("yes")
    assert "stopped" in run("stop", "shop", "A")
    assert site.admin.member("A")["flags"] == "NS"
    said = run("drain", "shop", "B", status=6)
    assert "last member" in said and "--force" in said
    assert "draining" in run("drain", "shop", "B", "--force")
    assert " up " in run("start", "shop", "A")
    assert " up " in run("undrain", "shop", "B")


def test_wait_ends_in_time_and_says_no(site, workdir):
    run = Command(workdir, site.url + "/clones")
    assert "no: takes-new-sessions" in run(
        "wait", "shop", "A", "--timeout", "0.2", status=1)
    done = json.loads(run("--json", "drain", "shop", "A", "--wait",
                          "--timeout", "20", "--quiet", "0"))
    assert done[0]["url"] == site.url + "/clones"
    assert done[0]["members"][0]["safe_to_stop"] is True


def test_each_failure_has_its_status(site, workdir):
    url = site.url + "/clones"
    run = Command(workdir, url)
    assert "no such member in balancer://shop: 'Z'" in run(
        "drain", "shop", "Z", status=5)
    assert "no such member in balancer://shop: 'Y'" in run(
        "status", "shop", "Y", status=5)
    assert "no such balancer: 'balancer://x'" in run("status", "x", status=5)
    run("explode", status=2)
    run("drain", "shop", status=2)
    assert "--url" in run("status", status=2, CLONECTL_URL="")
    for bad in ("ftp://x/", "clones", "http://ada:secret@127.0.0.1/"):
        said = run("--url", bad, "status", status=2)
        assert "secret" not in said
    nobody = f"http://127.0.0.1:{free_port()}/clones"
    assert "refused" in run("--url", nobody, "status", status=3)
    # another page than the handler
    assert run("--url", site.url + "/", "status", status=3)
    for words in (["--help"], ["drain", "--help"]):
        assert "usage: clonectl" in run(*words)


def test_a_wrong_url_is_no_missing_member(httpd, site, workdir):
    """404 is the handler's word for a member, and httpd's for a page."""
    run = Command(workdir, httpd("", own=()).url + "/clone")
    for words in (["status"], ["drain", "shop", "A"]):
        said = run(*words, status=3)
        assert "status 404" in said and "is the URL right?" in said
    run = Command(workdir, site.url + "/clones")
    assert "no such member" in run("status", "shop", "Z", status=5)


@pytest.mark.parametrize("words, bad", [
    (["--connect-timeout", "0", "status"], "above 0, not '0'"),
    (["--connect-timeout", "nan", "status"], "above 0, not 'nan'"),
    (["--connect-timeout", "1e99", "status"], "above 0, not '1e99'"),
    (["wait", "shop", "A", "--timeout", "-5"], "0 or more, not '-5'"),
    (["wait", "shop", "A", "--timeout", "inf"], "0 or more, not 'inf'"),
    (["drain", "shop", "A", "--wait", "--quiet", "-1"], "0 or more, not '-1'"),
    (["wait", "shop", "A", "--quiet", "soon"], "0 or more, not 'soon'"),
])
def test_seconds_are_refused_before_anybody_is_asked(workdir, words, bad):
    url = f"http://127.0.0.1:{free_port()}/clones"
    said = Command(workdir, url)(*words, status=2)
    assert f"must be seconds, {bad}" in said


def test_what_concerns_a_file_goes_to_another_program(workdir):
    run = Command(workdir)
    program = os.path.join(workdir, "clonectl-conf")
    with open(program, "w") as f:
        f.write("#!/bin/sh\necho \"$*\"\n")
    os.chmod(program, 0o755)
    path = workdir + ":" + os.environ["PATH"]
    assert run("lint", "--json", "a", PATH=path) == "lint --json a\n"
    assert run("where", "--help", PATH=path) == "where --help\n"
    assert "lint" in run("--help")


def test_several_web_servers_are_told_and_asked(httpd, clones, workdir):
    two = clones("A", "B")
    servers = [httpd(shop(two, before=ADMIN + "ProxyCloneSessionIdle 1s\n"),
                     own=OWN) for _ in range(2)]
    for server in servers:
        server.log.allow("CR0300")
    run = Command(workdir)
    urls = [w for s in servers for w in ("--url", s.url + "/clones")]
    text = run(*urls, "drain", "shop", "A")
    assert text.count("draining") == 2
    servers[1].get("/", headers=cookie("A"))
    done = json.loads(run(*urls, "--json", "wait", "shop", "A", "--quiet",
                          "0", "--timeout", "30"))
    assert [d["members"][0]["safe_to_stop"] for d in done] == [True, True]
    Admin(servers[1]).do("undrain", "A")
    run(*urls, "wait", "shop", "A", "--timeout", "0", status=1)


def test_a_password_comes_from_a_file_the_environment_or_netrc(
        httpd, clones, workdir):
    server = httpd(start=False, own=OWN, modules=["auth_basic"])
    users = server.file("users", USERS, server.dir)
    server.conf = shop(clones("A", "B"), before=ADMIN.replace(
        "</Location>", GUARD.format(users=users)))
    server.start()
    server.log.allow("AH01617|AH01618|CR0300")
    run = Command(workdir, server.url + "/clones")
    assert run("status", status=4)
    secret = os.path.join(workdir, "secret")
    with open(secret, "w") as f:
        f.write("password\n")
    run("--user", "ada", "--password-file", secret, "status")
    run("status", CLONECTL_USER="ada", CLONECTL_PASSWORD="password")
    assert run("status", status=4, CLONECTL_USER="ada",
               CLONECTL_PASSWORD="wrong")
    assert "no password for ada" in run("--user", "ada", "status", status=2)
    with open(os.path.join(workdir, ".netrc"), "w") as f:
        f.write("machine 127.0.0.1 login ada password password\n")
    os.chmod(f.name, 0o600)
    run("drain", "shop", "A")
    assert Admin(server, headers={
        "Authorization": "Basic YWRhOnBhc3N3b3Jk"}).member(
            "A")["changed_by"] == "ada"
