# SPDX-License-Identifier: Apache-2.0
"""The plan file. Each key is taken by name and judged; what nobody took is
refused, so that a slip of the pen never widens what may be killed."""

import os
import re
import tomllib
import urllib.parse
from dataclasses import dataclass

NEEDED = object()
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SETTLED_WITHIN = 6      # pauses in which a user has tried all that he has
DOES = ("login", "change", "look", "logout")
RELAY_WAYS = ("slow", "cut", "hang")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
NAME = re.compile(r"[A-Za-z0-9][-\w.]*")
UNIT = re.compile(r"[\w:.\\@][-\w:.\\@]*", re.ASCII)
UNIT_KINDS = (".service", ".socket", ".device", ".mount", ".automount",
              ".swap", ".target", ".path", ".timer", ".slice", ".scope")
COMM_LEN = 15           # bytes of a process's name that the kernel keeps


class PlanError(Exception):
    """File, key, and what is wrong with it."""


class Table:
    """One table of the file, taken key by key."""

    def __init__(self, file, path, data):
        self.file = file
        self.path = path
        self.data = dict(data)

    def where(self, key):
        return f"{self.path}.{key}" if self.path else key

    def refuse(self, key, why, value=NEEDED):
        quoted = "" if value is NEEDED else f", not {value!r}"
        raise PlanError(f"{self.file}: {self.where(key)}: {why}{quoted}")

    def take(self, key, default):
        value = self.data.pop(key, default)
        if value is NEEDED:
            self.refuse(key, "is missing")
        return value

    def text(self, key, default=NEEDED):
        value = self.take(key, default)
        if value is not default and (not isinstance(value, str) or not value):
            self.refuse(key, "must be a text that is not empty", value)
        return value

    def name(self, key):
        value = self.text(key)
        if not NAME.fullmatch(value):
            self.refuse(key, "must be letters, digits, '-', '_' and '.'",
                        value)
        return value

    def number(self, key, default=NEEDED, least=0.0, most=86400.0):
        value = self.take(key, default)
        if value is default and default is not NEEDED:
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or not least <= value <= most:
            self.refuse(key, f"must be a number from {least:g} to {most:g}",
                        value)
        return value

    def whole(self, key, default=NEEDED, least=0, most=1000):
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) \
                or not least <= value <= most:
            self.refuse(key, f"must be a whole number from {least} to {most}",
                        value)
        return value

    def flag(self, key, default):
        value = self.take(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false", value)
        return value

    def word(self, key, words, default=NEEDED):
        value = self.take(key, default)
        if value is not default and value not in words:
            self.refuse(key, "must be one of " + ", ".join(words), value)
        return value

    def texts(self, key, default=NEEDED):
        value = self.take(key, default)
        if value is default and default is not NEEDED:
            return value
        if not isinstance(value, list) or not value or \
                not all(isinstance(v, str) and v for v in value):
            self.refuse(key, "must be a list of texts that is not empty",
                        value)
        return value

    def span(self, key, default, most=3600.0):
        """[least, most] of seconds, or one number for both."""
        value = self.take(key, default)
        pair = value if isinstance(value, list) else [value, value]
        if len(pair) != 2 or not all(
                isinstance(v, (int, float)) and not isinstance(v, bool)
                and 0 <= v <= most for v in pair) or pair[0] > pair[1]:
            self.refuse(key, "must be seconds, or a list of the least and the "
                             "most", value)
        return tuple(float(v) for v in pair)

    def pattern(self, key, default=NEEDED, groups=0):
        value = self.text(key, default)
        if value is default and default is not NEEDED:
            return value
        return self.compiled(key, value, groups)

    def compiled(self, key, value, groups=0):
        try:
            found = re.compile(value)
        except re.error as e:
            self.refuse(key, f"must be a regular expression ({e})", value)
        if found.groups < groups:
            self.refuse(key, "must have a group ( ) that is the value", value)
        return found

    def patterns(self, key):
        return [self.compiled(key, v) for v in self.texts(key, [])]

    def url(self, key):
        """A page's address."""
        value = self.text(key)
        self.url_parts(key, value, "http://host:port/path")
        return value

    def address(self, key, value):
        """A web server's address: scheme, host and port, nothing else."""
        parts = self.url_parts(key, value, "http://host:port")
        if parts.path not in ("", "/") or re.search("[?#]", value):
            self.refuse(key, "must be a URL, http://host:port, and nothing "
                             "after it", value)
        return value.rstrip("/")

    def url_parts(self, key, value, form):
        try:
            parts = urllib.parse.urlsplit(value)
            good = parts.scheme in ("http", "https") and parts.hostname
            parts.port      # raises when it is no number
        except ValueError:
            good = False
        if not good or not re.fullmatch("[!-~]+", value):
            self.refuse(key, f"must be a URL, {form}", value)
        if "@" in parts.netloc:
            self.refuse(key, "must have no user and password", value)
        return parts

    def endpoint(self, key, default=NEEDED):
        """("host", port) of "host:port"."""
        value = self.text(key, default)
        if value is default:
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            self.refuse(key, "must be host:port", value)
        return host.strip("[]"), int(port)

    def clock(self, key):
        """Minutes since midnight of "HH:MM"."""
        value = self.text(key)
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)|24:00", value)
        if not found:
            self.refuse(key, "must be a time of day, HH:MM", value)
        hour, minute = value.split(":")
        return int(hour) * 60 + int(minute)

    def table(self, key, needed=True):
        value = self.take(key, NEEDED if needed else {})
        if not isinstance(value, dict):
            self.refuse(key, "must be a table", value)
        return Table(self.file, self.where(key), value)

    def tables(self, key, needed=True):
        value = self.take(key, NEEDED if needed else [])
        if not isinstance(value, list) or (needed and not value) or \
                not all(isinstance(v, dict) for v in value):
            self.refuse(key, f"must be tables, [[{self.where(key)}]]", value)
        return [Table(self.file, f"{self.where(key)}[{i + 1}]", v)
                for i, v in enumerate(value)]

    def end(self):
        for key in self.data:
            self.refuse(key, "is no key of a plan", self.data[key])


@dataclass
class Check:
    """A page that says whether the site is whole."""
    url: str
    see: list
    see_not: list


@dataclass
class Fact:
    """Something of a user's session that a page shows."""
    name: str
    find: re.Pattern


@dataclass
class Step:
    """One request of a user, and what it does to his facts."""
    name: str
    does: str
    method: str
    path: str
    form: dict
    status: list
    idempotent: bool
    add: dict
    set: dict


@dataclass
class Target:
    """A part of the site that may be taken away, and how."""
    name: str
    group: str
    url: str
    ways: list
    pid_file: str
    pid_group: bool
    program: str
    start: list
    start_within: float
    unit: str
    relay: tuple
    to: tuple
    delay: float
    commands: dict


@dataclass
class Plan:
    file: str
    webs: list
    timeout: float
    slow: float
    usual: float
    whole_within: float
    checks: list
    count: int
    pause: float
    changes: int
    page: re.Pattern
    settled: re.Pattern
    anonymous: re.Pattern
    facts: list
    steps: list
    targets: list
    at_once: int
    one_of_a_group: bool
    lasts: tuple
    calm: tuple
    stop_percent: float
    rounds: list
    schedule: dict

    def target(self, name):
        return next((t for t in self.targets if t.name == name), None)

    def steps_that(self, does):
        return [s for s in self.steps if s.does == does]


# ---- the site ---------------------------------------------------------------

def read_site(table):
    webs = [table.address("webs", v) for v in table.texts("webs")]
    if len(set(webs)) < len(webs):
        table.refuse("webs", "must not name one twice", webs)
    checks = []
    for one in table.tables("whole", needed=False):
        check = Check(one.url("url"), one.patterns("see"),
                      one.patterns("see_not"))
        one.end()
        if not check.see and not check.see_not:
            one.refuse("see", "is missing, and so is see_not")
        checks.append(check)
    found = {"webs": webs, "timeout": table.number("timeout", 10, 0.1),
             "slow": table.number("slow", 3, 0.001),
             "usual": table.number("usual", 0.5, 0.001),
             "whole_within": table.number("whole_within", 60, 1, 3600),
             "checks": checks}
    table.end()
    return found


# ---- users ------------------------------------------------------------------

def read_facts(table):
    facts = []
    for one in table.tables("facts"):
        fact = Fact(one.name("name"), one.pattern("find", groups=1))
        if any(f.name == fact.name for f in facts):
            one.refuse("name", "is there twice", fact.name)
        one.end()
        facts.append(fact)
    return facts


def read_changes(one, key, known, kind):
    changes = one.take(key, {})
    if not isinstance(changes, dict):
        one.refuse(key, "must be a table of facts", changes)
    for fact, value in changes.items():
        if fact not in known:
            one.refuse(f"{key}.{fact}", "is none of users.facts")
        if not isinstance(value, kind) or isinstance(value, bool):
            one.refuse(f"{key}.{fact}", "must be " + (
                "a whole number" if kind is int else "a text"), value)
    return changes


def read_step(one, known):
    name, does = one.text("name"), one.word("does", DOES)
    method = one.word("method", ("GET", "POST", "PUT", "DELETE"),
                      "GET" if does == "look" else "POST")
    path = one.text("path")
    if not path.startswith("/") or re.search(r"\s", path):
        one.refuse("path", "must begin with '/' and have no space", path)
    if not re.fullmatch("[!-~]+", path):
        one.refuse("path", "must be ASCII, other characters as %XX", path)
    form = one.take("form", {})
    if not isinstance(form, dict) or \
            not all(isinstance(v, str) for v in form.values()):
        one.refuse("form", "must be a table of texts", form)
    status = one.take("status", [200])
    if not isinstance(status, list) or not status or \
            not all(isinstance(v, int) and 200 <= v < 500 for v in status):
        one.refuse("status", "must be a list of statuses from 200 to 499",
                   status)
    step = Step(name, does, method, path, form, status,
                one.flag("idempotent", method in SAFE_METHODS),
                read_changes(one, "add", known, int),
                read_changes(one, "set", known, str))
    one.end()
    if does in ("login", "change") and not (step.add or step.set):
        one.refuse("set", f"is missing, and so is add: what does it {does}?")
    if does in ("look", "logout") and (step.add or step.set):
        one.refuse("set" if step.set else "add",
                   f"has no place where does is '{does}'")
    return step


def read_users(table):
    facts = read_facts(table)
    known = {f.name for f in facts}
    steps = [read_step(one, known) for one in table.tables("steps")]
    for does in DOES:
        count = sum(s.does == does for s in steps)
        if count == 0 or (count > 1 and does != "change"):
            table.refuse("steps", f"must have {'one' if count else 'a'} step "
                                  f"whose does is '{does}', and has {count}")
    found = {"count": table.whole("count", 4, 1, 500),
             "pause": table.number("pause", 0.2, 0, 60),
             "changes": table.whole("changes", 6, 1, 1000),
             "page": table.pattern("page"),
             "settled": table.pattern("settled", None),
             "anonymous": table.pattern("anonymous", None),
             "facts": facts, "steps": steps}
    table.end()
    return found


# ---- targets ----------------------------------------------------------------

def read_commands(one):
    found = {}
    table = one.table("commands", needed=False)
    for way in list(table.data):
        if way in ("kill", "stop") + RELAY_WAYS:
            table.refuse(way, "is a way of its own; take another name")
        if not NAME.fullmatch(way):
            table.refuse(repr(way), "must be letters, digits, '-', '_' and "
                                    "'.'")
        pair = table.table(way)
        found[way] = (pair.texts("do"), pair.texts("undo"))
        pair.end()
    return found


def judge_ways(one, target):
    for way in target.ways:
        if way == "kill":
            good = target.unit or (target.pid_file and target.start)
            needs = "needs unit, or pid_file and start"
        elif way == "stop":
            good, needs = target.unit or target.pid_file, \
                "needs unit or pid_file"
        elif way in RELAY_WAYS:
            good, needs = target.relay, "needs relay and to"
        else:
            good, needs = way in target.commands, \
                "is no way: kill, stop, slow, cut, hang or one of commands"
        if not good:
            one.refuse("ways", f"'{way}' {needs}", target.ways)
    if len(set(target.ways)) < len(target.ways):
        one.refuse("ways", "must not name one twice", target.ways)
    if bool(target.relay) != bool(target.to):
        one.refuse("to" if target.relay else "relay", "is missing")


def judge_unit(one, target):
    """It is one unit, and what is said of it has a meaning."""
    if not target.unit:
        return
    if target.pid_file or target.start:
        one.refuse("unit", "has no place beside pid_file or start",
                   target.unit)
    for key in ("program", "pid_group"):
        if getattr(target, key):
            one.refuse(key, "has no place beside unit", getattr(target, key))
    if not UNIT.fullmatch(target.unit):
        one.refuse("unit", "must name one unit: letters, digits, ':', '_', "
                           "'.', '@', '\\', and '-' but not first",
                   target.unit)


def read_program(one):
    """As much of the name as the kernel keeps."""
    value = one.text("program", None)
    return value and value.encode()[:COMM_LEN].decode(errors="ignore")


def read_target(one, webs):
    name = one.name("name")
    target = Target(
        name, one.text("group", name), one.text("url", None),
        one.texts("ways"), one.text("pid_file", None),
        one.flag("pid_group", False), read_program(one),
        one.texts("start", None), one.number("start_within", 30, 0.1, 600),
        one.text("unit", None), one.endpoint("relay", None),
        one.endpoint("to", None), one.number("delay", 0.1, 0.001, 60),
        read_commands(one))
    one.end()
    if target.url:
        target.url = one.address("url", target.url)
        if target.url not in webs:
            one.refuse("url", "must be one of site.webs", target.url)
    judge_ways(one, target)
    judge_unit(one, target)
    return target


def what_it_touches(target):
    """{key: (what is compared, what the plan says)}; all but the name."""
    unit, relay = target.unit, target.relay
    if unit and not unit.endswith(UNIT_KINDS):
        unit += ".service"      # as systemctl reads it
    file = target.pid_file and os.path.realpath(target.pid_file)
    return {"unit": (unit, target.unit), "pid_file": (file, target.pid_file),
            "relay": (relay, relay and f"{relay[0]}:{relay[1]}")}


def read_targets(top, webs):
    """Two that touch the same would be out as one, and counted as two."""
    targets, seen = [], {}
    for one in top.tables("targets"):
        target = read_target(one, webs)
        if any(t.name == target.name for t in targets):
            one.refuse("name", "is there twice", target.name)
        for key, (what, said) in what_it_touches(target).items():
            other = seen.setdefault((key, what), target.name)
            if what and other != target.name:
                one.refuse(key, f"is that of target '{other}'", said)
        targets.append(target)
    return targets


# ---- faults -----------------------------------------------------------------

def read_faults(table, targets):
    found = {"at_once": table.whole("at_once", 1, 1, len(targets)),
             "one_of_a_group": table.flag("one_of_a_group", True),
             "lasts": table.span("lasts", [1.0, 5.0]),
             "calm": table.span("pause", [1.0, 3.0]),
             "stop_percent": table.number("stop_percent", None, 0.1, 99)}
    table.end()
    return found


def read_fault(one, word, targets):
    """(target name, way) of "target way"."""
    name, _, way = word.partition(" ")
    target = next((t for t in targets if t.name == name), None)
    if target is None:
        one.refuse("faults", f"'{name}' is none of the targets", word)
    if way not in target.ways:
        one.refuse("faults", f"the ways of {name} are "
                             f"{', '.join(target.ways)}", word)
    return name, way


def read_rounds(top, targets, faults):
    rounds = []
    for one in top.tables("rounds", needed=False):
        pairs = [read_fault(one, word, targets)
                 for word in one.texts("faults")]
        if len(pairs) > faults["at_once"]:
            one.refuse("faults", f"has more than faults.at_once, "
                                 f"{faults['at_once']}",
                       [" ".join(p) for p in pairs])
        names = [name for name, _ in pairs]
        groups = [t.group for name in names for t in targets
                  if t.name == name]
        if len(set(names)) < len(names) or (
                faults["one_of_a_group"] and len(set(groups)) < len(groups)):
            one.refuse("faults", "has two of one group", names)
        rounds.append((pairs, one.number("lasts", faults["lasts"][1], 0.1,
                                         3600)))
        one.end()
    return rounds


def read_schedule(top):
    if "schedule" not in top.data:
        return None
    table = top.table("schedule")
    days = table.texts("days")
    for day in days:
        if day not in DAYS:
            table.refuse("days", "must be of " + ", ".join(DAYS), day)
    until = table.data.get("to")
    found = {"days": [DAYS.index(d) for d in days],
             "from": table.clock("from"), "to": table.clock("to"),
             "pause": table.number("pause", 1800, 1)}
    if found["from"] >= found["to"]:
        table.refuse("to", "must be later than from (24:00 is the latest)",
                     until)
    table.end()
    return found


def read_plan(path):
    """The plan, or PlanError."""
    try:
        with open(path, "rb") as f:
            data = tomllib.load(f)
    except OSError as e:
        raise PlanError(f"{path}: {e.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise PlanError(f"{path}: {e}") from None
    top = Table(path, "", data)
    site = read_site(top.table("site"))
    users = read_users(top.table("users"))
    if site["whole_within"] < SETTLED_WITHIN * users["pause"]:
        top.refuse("site.whole_within", f"must be at least {SETTLED_WITHIN} "
                   f"times users.pause, {users['pause']:g}, or no user can "
                   "have seen that the site is whole", site["whole_within"])
    targets = read_targets(top, site["webs"])
    faults = read_faults(top.table("faults", needed=False), targets)
    rounds = read_rounds(top, targets, faults)
    schedule = read_schedule(top)
    top.end()
    return Plan(file=path, **site, **users, targets=targets, **faults,
                rounds=rounds, schedule=schedule)
