# SPDX-License-Identifier: Apache-2.0
"""A real browser uses the demonstration's shop while servers are killed."""

import os
import sys

import pytest

from browser import DESKTOP, PHONE, ROOT, Browser
from httpd import Log

sys.path.insert(0, os.path.join(ROOT, "demo"))

from site_servers import Site     # noqa: E402

# what a web server may say about a clone that was killed
KILLED_CLONE = r"AH00957|AH00959|AH01114|CR022[0-9]"


@pytest.fixture
def site(workdir):
    modules = os.environ.get("MODULES") or os.path.join(ROOT, "out",
                                                        "modules")
    logs = []
    with Site(workdir, modules) as running:
        for web in running.webs:
            web.judged = Log(web.error_log)
            logs.append(web.judged)
        yield running
    assert [log.unannounced() for log in logs] == [[], []]


@pytest.fixture
def browser(workdir):
    one = Browser(os.path.join(workdir, "browser"))
    try:
        yield one.start()
    finally:
        one.stop()


def basket(browser):
    return browser.run(
        "return Object.fromEntries([...document.querySelectorAll("
        "'[data-item]')].map(e => [e.dataset.item, +e.dataset.count]))")


def fact(browser, name):
    return browser.run(f"return document.body.dataset.{name}")


def shop_until_there_is_a_basket(browser, site):
    browser.open(site.webs[0].url)
    browser.type("input[name=user]", "Ada")
    browser.click(".login button")
    for button in ("tea", "tea", "cup"):
        browser.click(f".add-{button}")
    assert browser.text("#user") == "Ada"
    assert basket(browser) == {"tea": 2, "cup": 1}


def test_the_shop_survives_a_killed_clone(site, browser):
    browser.size(DESKTOP)
    shop_until_there_is_a_basket(browser, site)
    browser.screenshot("1-basket-desktop")
    name = fact(browser, "clone")
    victim = next(c for c in site.clones if c.name == name)
    victim.kill9()
    site.webs[0].judged.allow(KILLED_CLONE)

    browser.click(".add-book")

    assert fact(browser, "clone") not in ("", name)
    assert fact(browser, "user") == "Ada"
    assert basket(browser) == {"tea": 2, "cup": 1, "book": 1}
    browser.screenshot("2-clone-killed-desktop")
    browser.click(".login button")
    assert basket(browser) == {} and fact(browser, "user") == ""
    browser.screenshot("3-logged-out-desktop")


def test_the_session_moves_to_the_other_web_server_in_a_browser(site,
                                                                browser):
    browser.size(DESKTOP)
    shop_until_there_is_a_basket(browser, site)
    site.webs[0].kill9()
    browser.open(site.webs[1].url)
    assert fact(browser, "web") == "web2"
    assert basket(browser) == {"tea": 2, "cup": 1}


def test_the_page_fits_a_phone(site, browser):
    browser.size(PHONE)
    shop_until_there_is_a_basket(browser, site)
    browser.screenshot("4-basket-phone")
    wide = browser.run("return document.documentElement.scrollWidth")
    assert wide <= PHONE[0]
    small = browser.run(
        "return [...document.querySelectorAll('button')].filter(b => "
        "b.getBoundingClientRect().height < 40).length")
    assert small == 0
    assert browser.run("return document.scripts.length") == 0


def test_a_name_is_text_whatever_it_contains(site, browser):
    name = "<b>&\"'</b><!--#x-->"
    browser.size(PHONE)
    browser.open(site.webs[0].url)
    browser.type("input[name=user]", name)
    browser.click(".login button")
    assert browser.text("#user") == name
    assert browser.run("return document.querySelectorAll("
                       "'#user *').length") == 0
