# SPDX-License-Identifier: Apache-2.0
"""A plugin-cfg.xml that goes bad while the router uses it: what was accepted
goes on, the log has the reason, and no child waits for it or dies of it."""

import os
import threading

import pytest

from httpd import ROOT
from plugin_cfg import settled, simple
from router import cookie, served

SEEDS = os.path.join(ROOT, "tests", "fuzz", "corpus", "clone_plugin")
BAD = [("nested", r":\d+: "), ("entity_bomb", r":\d+: .*(DOCTYPE|ENTITY)"),
       ("external_entity", r":\d+: .*(DOCTYPE|ENTITY)"),
       ("truncated", r":\d+: "), ("utf16", "UTF-16"),
       ("mismatched", r":\d+: ")]


def of(name):
    with open(os.path.join(SEEDS, name), "rb") as f:
        return f.read()


def serves(site):
    """Every child has its chance."""
    return {served(site.get("/shop/x", headers=cookie(clone)))
            for clone in "ABABAB"} == {("A", "first"), ("B", "first")}


def test_what_is_no_configuration_changes_nothing(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two))
    before = set(site.children())
    for name, wanted in BAD:
        site.cfg.spoil(site, of(name), wanted)
        assert serves(site), name
    deep = b"<Config>" + b"<Route>" * 100_000 + b"</Config>"
    site.cfg.spoil(site, deep, "plugin-cfg.xml")
    assert serves(site)
    site.cfg.spoil(site, b"<Config>" + b" " * (8 << 20) + b"</Config>",
                   "8388608 bytes")
    assert serves(site)
    assert before <= set(site.children())
    site.cfg.change(site, simple(two, {"A": 0}))


def test_latin_letters_under_a_prolog_of_utf_8_are_read(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two))
    text = simple(two, {"A": 0}).replace("node_A", "gr\xfc\xdfe")
    site.cfg.change(site, text.encode("latin-1"))
    assert serves(site)
    assert {served(site.get("/shop/x"))[0] for _ in range(6)} == {"B"}
    site.log.expect("CR040[23]: .*ISO-8859-1")


@pytest.mark.every_mpm
def test_what_cannot_be_read_is_waited_for(plugin, clones):
    two = clones("A", "B")
    site = plugin(simple(two))

    def deny():
        os.chmod(site.cfg.path, 0)

    def pipe():
        os.unlink(site.cfg.path)
        os.mkfifo(site.cfg.path)

    def folder():
        os.unlink(site.cfg.path)
        os.mkdir(site.cfg.path)

    for n, (spoil, wanted) in enumerate((
            (deny, "Permission denied"), (pipe, "Invalid argument"),
            (folder, "[Dd]irectory"))):
        spoil()
        site.log.expect(f"CR0411: .*{wanted}", timeout=10)
        assert serves(site)
        if spoil is folder:
            os.rmdir(site.cfg.path)
        site.cfg.change(site, simple(two, {"A": 10 + n}))


def test_a_file_that_is_written_while_it_is_read_is_read_later(plugin,
                                                               clones):
    two = clones("A", "B")
    site = plugin(simple(two))
    site.log.allow("CR041[012]|CR040[29]")
    over = threading.Event()

    def write():
        """In place and in pieces, as no tool should."""
        texts = [simple(two, {"A": weight}) for weight in (3, 5)]
        while not over.is_set():
            for text in texts:
                with open(site.cfg.path, "w") as f:
                    for i in range(0, len(text), 100):
                        f.write(text[i:i + 100])
                        f.flush()
                        over.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answers = [served(site.get("/shop/x", headers=cookie(clone)))
                   for _ in range(300) for clone in "AB"]
    finally:
        over.set()
        writer.join()
    assert set(answers) == {("A", "first"), ("B", "first")}
    site.cfg.write(simple(two, drop=("A",)))
    settled(lambda: served(site.get("/shop/x"))[0], "B", "the last text")
