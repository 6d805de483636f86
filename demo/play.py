# SPDX-License-Identifier: Apache-2.0
"""The story: one visitor shops while servers die, and loses nothing.

The victims are those that hurt: the clone that serves the session, a memcached
that owns a copy of it, the web server in use.
"""

import html.parser
import http.client
import re
import time

from site_servers import leftovers
from client import Client, Jar
from process import wait_until

REPAIR_SEC = 15     # how long a session may wait for its second copy
SLOW_SEC = 3.0      # no request, whatever dies, may take longer


class Page(html.parser.HTMLParser):
    """What the shop's page says: the data attributes in it."""

    def __init__(self, text):
        super().__init__()
        self.clone = self.web = self.copies = self.user = self.why = ""
        self.items = {}
        self.is_shop = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        if tag == "body" and "data-clone" in a:
            self.is_shop = True
            self.clone, self.web = a["data-clone"], a["data-web"]
            self.copies, self.user = a["data-copies"], a["data-user"]
        elif "data-item" in a:
            self.items[a["data-item"]] = int(a["data-count"])
        elif "data-reason" in a:
            self.why = a["data-reason"]

    def __str__(self):
        things = ", ".join(f"{n} {k}" for k, n in self.items.items())
        return (f"clone {self.clone} ({self.why}), {self.web}, copies "
                f"{self.copies or '-'}, {self.user or 'nobody'}: "
                f"{things or 'empty basket'}")


class Verdict:
    """Counts what went right and wrong, and prints it."""

    def __init__(self):
        self.passed = self.failed = self.steps = 0

    def step(self, text):
        self.steps += 1
        print(f"\n{self.steps:2}. {text}", flush=True)

    def saw(self, text):
        print(f"      {text}", flush=True)

    def check(self, good, text):
        if good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"    {'ok  ' if good else 'LOST'} {text}", flush=True)
        return good


class Visitor:
    """A browser behind a load balancer: when one web server refuses the
    connection, the other one's address is used."""

    def __init__(self, site, verdict):
        self.site = site
        self.verdict = verdict
        self.jar = Jar()
        self.web = site.webs[0]
        self.count = 0
        self.switched = 0
        self.slowest = 0.0
        self.expected = {}
        self.user = ""
        self.cookies = set()

    def _send(self, method, path, **kw):
        with Client(self.web.port, timeout=20) as c:
            answer = c.request(method, path, jar=self.jar, **kw)
        self.cookies.update(self.jar.values())
        return answer

    def secrets(self):
        """The parts of all cookies so far that would open the session."""
        parts = {p for value in self.cookies for p in re.split("[.:]", value)}
        return {p for p in parts if len(p) >= 16}

    def request(self, method, path, **kw):
        """One request; a failed one counts as lost."""
        self.count += 1
        before = time.monotonic()
        try:
            try:
                answer = self._send(method, path, **kw)
            except ConnectionRefusedError:
                self.web = next(w for w in self.site.webs
                                if w is not self.web)
                self.switched += 1
                answer = self._send(method, path, **kw)
        except (OSError, http.client.HTTPException) as e:
            self.verdict.check(False, f"{method} {path}: {e!r}")
            return None
        took = time.monotonic() - before
        self.slowest = max(self.slowest, took)
        wanted = 200 if method == "GET" else 303
        if answer.status != wanted or took > SLOW_SEC:
            self.verdict.check(False, f"{method} {path}: status "
                                      f"{answer.status} after {took:.2f} s")
        return answer

    def look(self):
        """Load the page; compare it with what must be there."""
        answer = self.request("GET", "/")
        page = Page(answer.text if answer else "")
        if (page.items, page.user) != (self.expected, self.user):
            self.verdict.check(False, f"expected {self.user or 'nobody'} "
                               f"with {self.expected}, got {page}")
        return page

    def add(self, item, change=1):
        count = self.expected.get(item, 0) + change
        self.expected[item] = count
        if not count:
            del self.expected[item]
        self.request("POST", "/basket",
                     form={"item": item, "change": str(change)})

    def log_in(self, user):
        self.user = user
        self.request("POST", "/login", form={"user": user})

    def log_out(self):
        self.user, self.expected = "", {}
        self.request("POST", "/logout", form={})

    def use(self, item):
        """What people do: look, add something, look again."""
        self.verdict.saw(f"saw: {self.look()}")
        self.add(item)
        page = self.look()
        self.verdict.saw(f"     {page}")
        basket = ", ".join(f"{n} {k}" for k, n in self.expected.items())
        self.verdict.check(page.items == self.expected and
                           page.user == self.user,
                           f"{self.user} still has: {basket}")
        return page


def kill(verdict, server):
    command, leader = server.kill_command(), server.pid
    server.kill9()
    verdict.saw(f"{command}   ({server.role} {server.name}, port "
                f"{server.port})")
    verdict.check(not leftovers(leader), f"{server.role} {server.name} is "
                                         f"dead")


def opening(site, verdict):
    verdict.step("A visitor logs in and fills the basket")
    visitor = Visitor(site, verdict)
    before = site.node_keys()
    visitor.look()
    visitor.log_in("Ada")
    for item in ("tea", "tea", "cup"):
        visitor.add(item)
    page = visitor.use("book")
    added = {name: keys - before[name]
             for name, keys in site.node_keys().items()}
    owners = [n for n in site.nodes if added[n.name]]
    verdict.saw("memcached nodes that hold it: " +
                " and ".join(n.name for n in owners))
    verdict.check(len(owners) == 2 and page.copies == "2/2",
                  "the session has two copies")
    verdict.check(site.nodes[0] in owners, "the copies are in two zones")
    verdict.check(visitor.jar.attributes.get("HASESSION", {}).get("httponly")
                  is True, "its cookie is hidden from scripts")
    return visitor, owners


def no_trust(site, visitor, verdict):
    verdict.step("A stranger tries to bring his own session")
    stranger = Visitor(site, verdict)
    with Client(visitor.web.port) as c:
        answer = c.get("/", headers={"X-Session": "user=Ada&item-tea=9"})
        page = Page(answer.text)
    verdict.check(page.is_shop and (page.user, page.items) == ("", {}),
                  "a header from outside is not believed")
    answer = stranger.request("POST", "/basket",
                              form={"item": "cup", "change": "1"})
    verdict.check(answer is not None and
                  not answer.all("X-Session-Changes") and
                  not answer.all("X-Session"),
                  "the session's headers do not leave the site")
    forged = Jar(visitor.jar)
    value = forged["HASESSION"]
    at = len(value) - 5        # inside the tag, and no padding bits
    forged["HASESSION"] = (value[:at] + ("A" if value[at] != "A" else "B") +
                           value[at + 1:])
    with Client(visitor.web.port) as c:
        page = Page(c.get("/", jar=forged).text)
    verdict.check(page.is_shop and (page.user, page.items) == ("", {}),
                  "a forged cookie opens nothing")


def clone_dies(site, visitor, verdict):
    page = visitor.look()
    victim = next(c for c in site.clones if c.name == page.clone)
    verdict.step(f"Kill clone {victim.name}, which serves the session")
    kill(verdict, victim)
    page = visitor.use("tea")
    heir = page.clone
    verdict.check(heir not in ("", victim.name), f"clone {heir} took over")
    verdict.check(visitor.jar["JSESSIONID"].endswith(
        f":{victim.name}:{heir}"), f"the cookie's list ends in "
                                   f":{victim.name}:{heir}")
    verdict.check(visitor.look().clone == heir, f"and clone {heir} keeps it")
    verdict.step(f"Bring clone {victim.name} back")
    site.revive(victim)
    page = wait_until(lambda: (lambda p: p if p.clone == victim.name else
                               None)(visitor.look()), 10,
                      f"page from clone {victim.name}")
    verdict.check(page.why == "first", f"clone {victim.name} serves it again "
                                       f"({page.why})")
    visitor.use("book")


def repaired(site, visitor, verdict, node):
    """Wait until the session has its two copies again, using the site."""
    before = time.monotonic()

    def whole():
        return visitor.look().copies == "2/2" and node.keys()

    try:
        wait_until(whole, REPAIR_SEC, "second copy")
    except AssertionError:
        return verdict.check(False, f"{node.name} got no copy in "
                                    f"{REPAIR_SEC} s")
    verdict.saw(f"{time.monotonic() - before:.1f} s later:")
    return verdict.check(True, f"two copies again, one of them on "
                               f"{node.name}")


def node_dies(site, visitor, verdict, node):
    verdict.step(f"Kill memcached {node.name}, which owns a copy")
    verdict.check(bool(node.keys()), f"{node.name} holds the session")
    kill(verdict, node)
    visitor.use("cup")
    visitor.add("book", -1)
    visitor.use("tea")
    verdict.step(f"Bring memcached {node.name} back, empty")
    site.revive(node)
    repaired(site, visitor, verdict, node)
    visitor.use("book")


def web_dies(site, visitor, verdict):
    victim = visitor.web
    verdict.step(f"Kill {victim.name}, the web server in use")
    kill(verdict, victim)
    page = visitor.use("cup")
    verdict.check(page.web not in ("", victim.name),
                  f"{page.web} knows the session")
    verdict.step(f"Bring {victim.name} back and use it")
    site.revive(victim)
    visitor.web = victim
    page = visitor.use("tea")
    verdict.check(page.web == victim.name, f"{victim.name} serves again")


def closing(site, visitor, verdict):
    verdict.step("Log out")
    old = Jar(visitor.jar)
    visitor.log_out()
    page = visitor.look()
    verdict.check(not page.items and not page.user, "nobody, empty basket")
    for web in site.webs:
        with Client(web.port) as c:
            page = Page(c.get("/", headers={"Cookie": old.header()}).text)
            verdict.check(page.is_shop and (page.user, page.items) ==
                          ("", {}), f"the old cookie is dead on {web.name}")
    with Client(visitor.web.port) as c:
        c.request("POST", "/basket", form={"item": "tea", "change": "1"},
                  headers={"Cookie": old.header()})
        page = Page(c.get("/", headers={"Cookie": old.header()}).text)
    verdict.check(page.is_shop and (page.user, page.items) == ("", {}),
                  "a late write does not bring it back to life")


def logs(site, visitor, verdict):
    """No child crashed, no session was lost, nothing secret was logged."""
    lines = [line for web in site.webs for line in web.log().splitlines()]
    grave = (":crit]", ":alert]", ":emerg]", "exit signal",
             "session_ha:error]")
    bad = [line for line in lines if any(mark in line for mark in grave)]
    for line in bad:
        verdict.saw(line)
    verdict.check(lines and not bad, "the web servers report no loss and no "
                                     "crash")
    lines += [line for web in site.webs for line in web.requests_log()]
    secrets = visitor.secrets()
    verdict.check(secrets and not [line for line in lines
                                   for secret in secrets if secret in line],
                  f"none of the {len(secrets)} ids of the visit is in a log "
                  f"line")


def play(site):
    """Play it; returns the exit code."""
    begun = time.monotonic()
    verdict = Verdict()
    try:
        visitor, owners = opening(site, verdict)
        no_trust(site, visitor, verdict)
        clone_dies(site, visitor, verdict)
        for node in owners:
            node_dies(site, visitor, verdict, node)
        web_dies(site, visitor, verdict)
        closing(site, visitor, verdict)
        logs(site, visitor, verdict)
        verdict.saw(f"{visitor.count} requests, slowest "
                    f"{visitor.slowest * 1000:.0f} ms, web server changed "
                    f"{visitor.switched} times, all in "
                    f"{time.monotonic() - begun:.1f} s")
    except (AssertionError, OSError, KeyError, StopIteration,
            http.client.HTTPException) as e:
        verdict.check(False, f"the story ended here: {e!r}")
    if verdict.failed:
        print("\nSomething was lost.")
    else:
        print("\nNothing was lost, no request failed.")
    print(f"{verdict.passed} passed, {verdict.failed} failed", flush=True)
    return 1 if verdict.failed else 0
