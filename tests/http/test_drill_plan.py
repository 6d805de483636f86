# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill's plan: what it says, and that a slip is refused by key."""

import os
import sys

import pytest

from drill_site import GOOD, ROOT, read

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import plan as plans      # noqa: E402


def test_a_plan_is_read(workdir):
    plan = read(workdir, GOOD)
    assert plan.webs == ["http://web:80"]
    assert [t.name for t in plan.targets] == ["m1", "m2", "web"]
    assert plan.target("web").group == "web"
    assert plan.schedule == {"days": [0, 1], "from": 540, "to": 1050,
                             "pause": 1800}


@pytest.mark.parametrize("old, new, says", [
    ('webs = ["http://web:80"]', "", "site.webs: is missing"),
    ('webs = ["http://web:80"]', 'webs = ["web"]',
     "site.webs: must be a URL, http://host:port, not 'web'"),
    ('webs = ["http://web:80"]', 'webs = ["http://web:x"]',
     "site.webs: must be a URL, http://host:port, not 'http://web:x'"),
    ('webs = ["http://web:80"]', 'webs = ["http://web:80/app"]',
     "site.webs: must be a URL, http://host:port, and nothing after it, not "
     "'http://web:80/app'"),
    ('webs = ["http://web:80"]', 'webs = ["http://web:80/?a=b"]',
     "site.webs: must be a URL, http://host:port, and nothing after it, not "
     "'http://web:80/?a=b'"),
    ('webs = ["http://web:80"]', 'webs = ["http://web:80#top"]',
     "site.webs: must be a URL, http://host:port, and nothing after it, not "
     "'http://web:80#top'"),
    ('webs = ["http://web:80"]', 'webs = ["http://bob:secret@web:80"]',
     "site.webs: must have no user and password, not "
     "'http://bob:secret@web:80'"),
    ('webs = ["http://web:80"]', 'webs = ["http://w b:80"]',
     "site.webs: must be a URL, http://host:port, not 'http://w b:80'"),
    ('url = "http://web:80/health"', 'url = "http://web:80/a health"',
     "site.whole[1].url: must be a URL, http://host:port/path, not "
     "'http://web:80/a health'"),
    ('url = "http://web:80/health"', 'url = "http://bob:x@web:80/health"',
     "site.whole[1].url: must have no user and password, not "
     "'http://bob:x@web:80/health'"),
    ("timeout = 5", "timeout = -1",
     "site.timeout: must be a number from 0.1 to 86400, not -1"),
    ("timeout = 5", "timeuot = 5", "site.timeuot: is no key of a plan, not 5"),
    ("pause = 0.01", "pause = 1",
     "site.whole_within: must be at least 6 times users.pause, 1, or no user "
     "can have seen that the site is whole, not 5"),
    ("whole_within = 5", "whole_within = true",
     "site.whole_within: must be a number from 1 to 3600, not True"),
    ("see = ['well']", "see = ['(']",
     "site.whole[1].see: must be a regular expression"),
    ("see = ['well']", "", "site.whole[1].see: is missing"),
    ("count = 2", "count = 0",
     "users.count: must be a whole number from 1 to 500, not 0"),
    ("pause = 0.01", "pause = 'x'",
     "users.pause: must be a number from 0 to 60, not 'x'"),
    ("page = 'the shop'", "", "users.page: is missing"),
    ("page = 'the shop'", "page = 'the shop'\nanonymous = '('",
     "users.anonymous: must be a regular expression"),
    ("find = 'user=(\\w*)'", "find = 'user'",
     "users.facts[1].find: must have a group ( ) that is the value, not"),
    ('name = "tea"', 'name = "user"',
     "users.facts[2].name: is there twice, not 'user'"),
    ('does = "login"', 'does = "sing"',
     "users.steps[1].does: must be one of login, change, look, logout, not "
     "'sing'"),
    ('does = "logout"', 'does = "look"',
     "users.steps: must have one step whose does is 'look', and has 2"),
    ('path = "/basket"', 'path = "basket"',
     "users.steps[3].path: must begin with '/' and have no space, not "
     "'basket'"),
    ('path = "/basket"', 'path = "/a basket"',
     "users.steps[3].path: must begin with '/' and have no space, not "
     "'/a basket'"),
    ('path = "/basket"', 'path = "/k\u00f6rb"',
     "users.steps[3].path: must be ASCII, other characters as %XX, not "
     "'/k\u00f6rb'"),
    ('path = "/basket"', 'path = "/basket\\u007f"',
     "users.steps[3].path: must be ASCII, other characters as %XX, not "
     "'/basket\\x7f'"),
    ("add = { tea = 1 }", "add = { cup = 1 }",
     "users.steps[3].add.cup: is none of users.facts"),
    ("add = { tea = 1 }", "add = { tea = 'x' }",
     "users.steps[3].add.tea: must be a whole number, not 'x'"),
    ("add = { tea = 1 }", "",
     "users.steps[3].set: is missing, and so is add"),
    ("add = { tea = 1 }", "add = { tea = 1 }\nstatus = [500]",
     "users.steps[3].status: must be a list of statuses from 200 to 499, not "
     "[500]"),
    ("add = { tea = 1 }", "add = { tea = 1 }\nmethod = 'BREW'",
     "users.steps[3].method: must be one of GET, POST, PUT, DELETE, not "
     "'BREW'"),
    ('name = "m2"', 'name = "m1"', "targets[2].name: is there twice"),
    ('name = "m2"', 'name = "m 2"', "targets[2].name: must be letters"),
    ('ways = ["kill", "stop"]', 'ways = ["kill", "burn"]',
     "targets[1].ways: 'burn' is no way"),
    ('ways = ["kill", "stop"]', 'ways = ["slow"]',
     "targets[1].ways: 'slow' needs relay and to, not ['slow']"),
    ('start = ["start", "m1"]', "",
     "targets[1].ways: 'kill' needs unit, or pid_file and start"),
    ('start = ["start", "m1"]', 'start = "start m1"',
     "targets[1].start: must be a list of texts that is not empty, not "
     "'start m1'"),
    ('relay = "127.0.0.1:1"', 'relay = "1"',
     "targets[2].relay: must be host:port, not '1'"),
    ('to = "127.0.0.1:2"', "", "targets[2].to: is missing"),
    ('url = "http://web:80"\nways', 'url = "http://other:80"\nways',
     "targets[3].url: must be one of site.webs, not 'http://other:80'"),
    ('unit = "apache2"', 'unit = "apache2"\npid_file = "x"',
     "targets[3].unit: has no place beside pid_file or start"),
    ('unit = "apache2"', 'unit = "apache2"\nprogram = "httpd"',
     "targets[3].program: has no place beside unit, not 'httpd'"),
    ('unit = "apache2"', 'unit = "apache2"\npid_group = true',
     "targets[3].pid_group: has no place beside unit, not True"),
    ('unit = "apache2"', 'unit = "apache*"',
     "targets[3].unit: must name one unit: letters, digits, ':', '_', '.', "
     "'@', '\\', and '-' but not first, not 'apache*'"),
    ('unit = "apache2"', 'unit = "apache?"',
     "targets[3].unit: must name one unit: "),
    ('unit = "apache2"', 'unit = "apache[23]"',
     "targets[3].unit: must name one unit: "),
    ('unit = "apache2"', 'unit = "--all"',
     "targets[3].unit: must name one unit: "),
    ('unit = "apache2"', 'unit = "apache2\\n"',
     "targets[3].unit: must name one unit: "),
    ('unit = "apache2"', 'unit = "apache2"\n[[targets]]\nname = "again"\n'
     'ways = ["kill"]\nunit = "apache2.service"',
     "targets[4].unit: is that of target 'web', not 'apache2.service'"),
    ('pid_file = "m2.pid"', 'pid_file = "./m1.pid"',
     "targets[2].pid_file: is that of target 'm1', not './m1.pid'"),
    ('unit = "apache2"', 'unit = "apache2"\nrelay = "127.0.0.1:1"\n'
     'to = "127.0.0.1:3"',
     "targets[3].relay: is that of target 'm2', not '127.0.0.1:1'"),
    ('unit = "apache2"', 'unit = "apache2"\n'
     '[targets.commands."\\u001b[2J"]\ndo = ["a"]\nundo = ["b"]',
     "targets[3].commands.'\\x1b[2J': must be letters"),
    ("at_once = 1", "at_once = 4",
     "faults.at_once: must be a whole number from 1 to 3, not 4"),
    ("lasts = [0.1, 0.2]", "lasts = [3, 1]",
     "faults.lasts: must be seconds, or a list of the least and the most, "
     "not [3, 1]"),
    ("at_once = 1", "at_once = 1\nstop_percent = 100",
     "faults.stop_percent: must be a number from 0.1 to 99, not 100"),
    ('days = ["mon", "tue"]', 'days = ["monday"]',
     "schedule.days: must be of mon, tue, wed, thu, fri, sat, sun, not "
     "'monday'"),
    ('from = "09:00"', 'from = "9"',
     "schedule.from: must be a time of day, HH:MM, not '9'"),
    ('to = "17:30"', 'to = "08:00"',
     "schedule.to: must be later than from (24:00 is the latest), not "
     "'08:00'"),
    ("[schedule]", "[[rounds]]\nfaults = ['m3 kill']\n[schedule]",
     "rounds[1].faults: 'm3' is none of the targets, not 'm3 kill'"),
    ("[schedule]", "[[rounds]]\nfaults = ['m1 cut']\n[schedule]",
     "rounds[1].faults: the ways of m1 are kill, stop, not 'm1 cut'"),
    ("[schedule]", "[[rounds]]\nfaults = ['m1 kill', 'web kill']\n[schedule]",
     "rounds[1].faults: has more than faults.at_once, 1, not"),
    ("[faults]\nat_once = 1", "[[rounds]]\nfaults = ['m1 kill', 'm2 kill']\n"
     "[faults]\nat_once = 2",
     "rounds[1].faults: has two of one group, not ['m1', 'm2']"),
    ("[schedule]", "[scedule]", "scedule: is no key of a plan"),
    ("[site]", "[site", "plan.toml: "),
])
def test_a_wrong_plan_is_refused_by_key(workdir, old, new, says):
    assert old in GOOD
    with pytest.raises(plans.PlanError) as e:
        read(workdir, GOOD.replace(old, new))
    assert str(e.value).startswith(os.path.join(workdir, "plan.toml") + ": ")
    assert says in str(e.value)


@pytest.mark.parametrize("old, new, what", [
    ('webs = ["http://web:80"]', 'webs = ["http://web:80/"]',
     lambda plan: plan.webs == ["http://web:80"]),
    ("/health", "/health/",
     lambda plan: plan.checks[0].url == "http://web:80/health/"),
    ("page = 'the shop'", "page = 'the shop'",
     lambda plan: plan.anonymous is None),
    ("page = 'the shop'", "page = 'the shop'\nanonymous = 'log ?in'",
     lambda plan: plan.anonymous.search("/login")),
    ('pid_file = "m1.pid"',
     'pid_file = "m1.pid"\nprogram = "session-ha-drilled"',
     lambda plan: plan.targets[0].program == "session-ha-dril"),
    ('unit = "apache2"', 'unit = "apache2@a\\\\x2db-1.service"',
     lambda plan: plan.targets[2].unit == "apache2@a\\x2db-1.service"),
])
def test_what_a_plan_may_say_is_understood(workdir, old, new, what):
    assert old in GOOD
    assert what(read(workdir, GOOD.replace(old, new)))


def test_the_plan_in_the_manual_page_is_one(workdir):
    with open(os.path.join(ROOT, "man", "session-ha-drill.1")) as f:
        text = f.read()
    text = text[text.index("[site]\nwebs"):]
    text = text[:text.index("\n.RE")].replace("\\e", "\\").replace("\\-", "-")
    plan = read(workdir, text)
    assert len(plan.targets) == 3
    assert all(check.see for check in plan.checks)
