# SPDX-License-Identifier: Apache-2.0
"""The demonstration's own promises: the screen it opens with is true, and it
leaves nothing behind. The story (--play) is a step of make check itself."""

import os
import re
import select
import shutil
import signal
import subprocess
import sys

import pytest

from browser import ROOT
from client import Client, Jar
from process import Process, free_port, group_of, is_alive, is_open
from process import wait_until

sys.path.insert(0, os.path.join(ROOT, "demo"))

import page              # noqa: E402
import shop              # noqa: E402
from play import Page    # noqa: E402

DEMO = os.path.join(ROOT, "demo", "demo.py")
PYTHON = "/usr/bin/python3"


def modules():
    return os.environ.get("MODULES") or os.path.join(ROOT, "out", "modules")


class Terminal(Process):
    """demo.py as somebody at a terminal sees it."""

    death_signal = signal.SIGTERM

    def __init__(self, folder):
        super().__init__()
        self.seen = ""
        env = dict(os.environ, TMPDIR=folder)
        self.spawn([PYTHON, "-u", DEMO, "--modules", modules()], env=env,
                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def read(self):
        while select.select([self.child.stdout], [], [], 0)[0]:
            part = os.read(self.child.stdout.fileno(), 65536)
            if not part:
                break
            self.seen += part.decode()
        return self.seen

    def wait_for(self, regex, timeout=20):
        def found():
            hit = re.search(regex, self.read())
            if not hit and not self.is_running():
                raise AssertionError(f"demo ended:\n{self.read()}")
            return hit
        return wait_until(found, timeout, f"'{regex}' on the screen")

    def command_for(self, what):
        """The kill command the screen gives for a server, newest."""
        hits = re.findall(r"(kill -9 -?\d+) +# " + re.escape(what) + "|" +
                          re.escape(what) + r" is back: +(kill -9 -?\d+)",
                          self.read())
        return [a or b for a, b in hits][-1]


@pytest.fixture
def terminal(workdir):
    os.chmod(workdir, 0o755)
    one = Terminal(workdir)
    try:
        yield one
    finally:
        one.stop()


def servers_on(screen):
    return re.findall(r"kill -9 (-?)(\d+) +# (\S.*\S)", screen)


def test_every_kill_command_on_the_screen_kills_what_it_says(terminal):
    terminal.wait_for("Ctrl-C")
    web1, web2 = re.findall(r"http://127\.0\.0\.1:(\d+)/\s",
                            terminal.seen)
    names = [name for _, _, name in servers_on(terminal.seen)]
    assert len(names) == 8
    for name in ("web server web1", "clone A", "memcached ada"):
        subprocess.run(["sh", "-c", terminal.command_for(name)], check=True)
        terminal.wait_for(f"{name} is dead")
    assert not is_open(int(web1))
    jar = Jar()
    with Client(int(web2)) as c:
        assert Page(c.get("/", jar=jar).text).is_shop

    os.kill(terminal.pid, signal.SIGUSR1)

    for name in ("web server web1", "clone A", "memcached ada"):
        terminal.wait_for(f"{name} is back")
    with Client(int(web1)) as c:
        assert Page(c.get("/", jar=jar).text).web == "web1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_leaves_nothing_behind(terminal, workdir, number):
    terminal.wait_for("Ctrl-C")
    leaders = [int(pid) for _, pid, _ in servers_on(terminal.seen)]
    everybody = [p for leader in leaders for p in group_of(leader)]
    assert len(everybody) >= 10      # both httpd have children
    os.kill(terminal.pid, number)
    # Each of two httpd gives a child that does not end ten seconds.
    assert terminal.child.wait(40) == 0
    assert not [p for p in everybody if is_alive(p)]
    assert not [n for n in os.listdir(workdir) if n.startswith("session-ha")]


def test_a_wrong_folder_is_a_plain_message(workdir):
    done = subprocess.run([PYTHON, DEMO, "--modules", workdir], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1
    assert "mod_session_ha.so" in done.stdout
    assert "Traceback" not in done.stdout


def test_the_story_fails_when_a_session_has_only_one_copy(workdir):
    """A verdict that cannot be bad is none."""
    demo = os.path.join(workdir, "demo")
    shutil.copytree(os.path.join(ROOT, "demo"), demo)
    os.symlink(os.path.join(ROOT, "tests"), os.path.join(workdir, "tests"))
    conf = os.path.join(demo, "httpd.conf")
    with open(conf) as f:
        text = f.read()
    assert "SessionHAReplicas 2" in text
    with open(conf, "w") as f:
        f.write(text.replace("SessionHAReplicas 2", "SessionHAReplicas 1"))
    done = subprocess.run([PYTHON, os.path.join(demo, "demo.py"), "--play",
                           "--modules", modules()], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1
    lost = re.findall(r"    LOST (.*)", done.stdout)
    assert "the session has two copies" in lost
    assert any(line.startswith("expected Ada with") for line in lost)
    assert done.stdout.endswith(f", {len(lost)} failed\n")


# ---- the shop, alone

@pytest.mark.parametrize("cookie, sent, after", [
    ("JSESSIONID=0000abc:A", "0000abc:A", "0000abc:A"),
    ("JSESSIONID=0000abc:B", "0000abc:B", "0000abc:B:A"),
    ("x=1; JSESSIONID=0000abc:B:C", "0000abc:B:C", "0000abc:B:C:A"),
    ("JSESSIONID=0000abc:A:B", "0000abc:A:B", "0000abc:A:B"),
    ("JSESSIONID=0000A:B", "0000A:B", "0000A:B:A"),
])
def test_a_clone_appends_itself_to_a_list_that_lacks_it(cookie, sent, after):
    assert shop.clone_list(cookie, "A") == (sent, after)


@pytest.mark.parametrize("cookie", [None, "", "JSESSIONID=", "OTHER=1:A"])
def test_a_new_visitor_gets_a_websphere_cookie(cookie):
    sent, after = shop.clone_list(cookie, "A")
    assert sent is None
    assert re.fullmatch(r"0000[-\w]{23}:A", after)
    assert shop.clone_list(cookie, "A")[1] != after


@pytest.mark.parametrize("session, form, pairs", [
    ({}, {"item": "tea", "change": "1"}, {"item-tea": "1"}),
    ({"item-tea": "2"}, {"item": "tea", "change": "-1"}, {"item-tea": "1"}),
    ({"item-tea": "1"}, {"item": "tea", "change": "-1"}, {"item-tea": ""}),
    ({}, {"item": "tea", "change": "-1"}, {"item-tea": ""}),
    ({"item-tea": "99"}, {"item": "tea", "change": "1"}, {"item-tea": "99"}),
    ({"item-tea": "x"}, {"item": "tea", "change": "1"}, {"item-tea": "1"}),
    ({}, {"item": "gold", "change": "1"}, None),
    ({}, {"item": "tea", "change": "1000"}, None),
    ({}, {}, None),
])
def test_the_basket_changes_by_one(session, form, pairs):
    assert shop.basket_change(session, form) == pairs


def test_logging_out_removes_every_key():
    assert shop.logout_change({"user": "Ada", "item-tea": "1"}, {}) == {
        "user": "", "item-tea": ""}


@pytest.mark.parametrize("name", ["<script>", "\"><b>", "'", "&amp;",
                                  "<!--#exec cmd=\"id\" -->"])
def test_everything_on_the_page_is_escaped(name):
    text = page.shop(name, name, name, name, {})
    if "<" in name:
        assert name not in text
    parsed = Page(text)
    assert (parsed.clone, parsed.web, parsed.user) == (name, name, name)


@pytest.fixture
def lone_shop():
    process = Process()
    port = free_port()
    process.spawn([PYTHON, os.path.join(ROOT, "demo", "shop.py"), str(port),
                   "A"])
    try:
        wait_until(lambda: is_open(port), 10, "shop")
        yield Client(port)
    finally:
        process.kill9()


def test_the_shop_keeps_nothing_and_redirects_after_post(lone_shop):
    answer = lone_shop.request("POST", "/basket",
                               form={"item": "tea", "change": "1"})
    assert (answer.status, answer.header("Location")) == (303, "/")
    assert answer.header("X-Session-Changes") == "item-tea=1"
    assert Page(lone_shop.get("/").text).items == {}
    seen = Page(lone_shop.get("/", headers={
        "X-Session": "user=Ada+L&item-tea=2&other=1"}).text)
    assert (seen.user, seen.items) == ("Ada L", {"tea": 2})


@pytest.mark.parametrize("method, path, form, status", [
    ("GET", "/etc/passwd", None, 404), ("POST", "/nowhere", {}, 404),
    ("POST", "/basket", {"item": "gold", "change": "1"}, 400),
    ("POST", "/basket", {"item": "x" * 5000}, 413),
    ("POST", "/login", {"user": "  "}, 400),
])
def test_the_shop_refuses_what_it_does_not_sell(lone_shop, method, path, form,
                                                status):
    assert lone_shop.request(method, path, form=form).status == status
