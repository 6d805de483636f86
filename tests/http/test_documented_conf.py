# SPDX-License-Identifier: Apache-2.0
"""httpd takes each configuration that README.md and docs/*.md show, as it
stands: a comment behind a directive, or a line of the shell below it, is an
error to whoever copies it."""

import base64
import glob
import os
import re
import shutil
import subprocess

import pytest

import plugin_cfg
from httpd import ROOT

PAGES = sorted(os.path.relpath(path, ROOT) for path in
               [os.path.join(ROOT, "README.md")]
               + glob.glob(os.path.join(ROOT, "docs", "*.md")))
# These have some; of the others we do not know.
FULL = {"README.md": 30, "docs/migrate-stickysession.md": 1,
        "docs/migrate-websphere.md": 2}
FILES = re.compile(r"(?<=[ \"])(?:conf/|/etc/|/opt/|/var/)[\w./-]+")


def blocks_of(text):
    """(line, text) of each block that is indented by four."""
    found, lines = [], []
    for number, line in enumerate(text.split("\n") + ["end"], 1):
        if line.startswith("    ") or (lines and not line.strip()):
            lines.append(line[4:])
        elif lines:
            found.append((number - len(lines), "\n".join(lines).rstrip()))
            lines = []
    return found


def is_conf(block, directives):
    """Whether a line of it begins as one of httpd's does."""
    return any(re.match(r"</?[A-Z]\w+[ >]", line)
               or line.split(" ")[0] in directives
               for line in block.split("\n"))


@pytest.fixture
def server(httpd):
    return httpd("", modules=("ssl", "auth_basic"), tls=True, start=False)


def ask(server, *words):
    return subprocess.run(server._argv(server.write_conf()) + list(words),
                          text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=30)


def directives_of(server):
    found = set(re.findall(r"^(\w+) \(\w+\.c\)$", ask(server, "-L").stdout,
                           re.M))
    assert {"SessionHA", "ProxyPass", "ProxyCloneConfig"} <= found
    return found


def make_file(server, path):
    """What a configuration names, below this server's root."""
    full = os.path.join(server.dir, path.lstrip("/"))
    if not os.path.splitext(path)[1] and "secret" not in path:
        os.makedirs(full, exist_ok=True)
        return full
    os.makedirs(os.path.dirname(full), exist_ok=True)
    if path.endswith(".pem"):
        shutil.copy(os.path.join(server.dir, "cert.pem"), full)
        return full
    with open(full, "w", encoding="utf-8") as f:
        f.write(plugin_text() if path.endswith(".xml") else
                base64.b64encode(os.urandom(32)).decode() + "\n")
    os.chmod(full, 0o644 if path.endswith(".xml") else 0o600)
    return full


def plugin_text():
    class clone:
        id, port = "v1", 9080
    return plugin_cfg.config(
        plugin_cfg.hosts("hosts", "*:80"), plugin_cfg.uris("URIs", "/shop/*"),
        plugin_cfg.cluster("shared_2_cluster", [plugin_cfg.server(clone)]),
        plugin_cfg.route("shared_2_cluster"))


def fault_in(server, block):
    """What httpd has to say against a block, or nothing."""
    server.conf = FILES.sub(lambda m: make_file(server, m[0]), block)
    done = ask(server, "-t")
    return "" if done.returncode == 0 else done.stdout.strip()


@pytest.mark.parametrize("page", PAGES)
def test_httpd_takes_what_a_page_shows(server, page):
    directives = directives_of(server)
    with open(os.path.join(ROOT, page), encoding="utf-8") as f:
        blocks = [(line, block) for line, block in blocks_of(f.read())
                  if is_conf(block, directives)]
    faults = [f"{page}:{line}: {said}" for line, block in blocks
              if (said := fault_in(server, block))]
    assert not faults, "\n".join(faults)
    assert len(blocks) >= FULL.get(page, 0)


@pytest.mark.parametrize("block", [
    "SessionHAReplicas 2   # copies",
    "<Location />\n    SessionHADeltaHeader X-Delta   # and back\n</Location>",
    "ProxyPass /shop !\n\nclonectl status",
])
def test_what_httpd_does_not_take_is_found(server, block):
    text = "Words:\n\n" + re.sub(r"(?m)^(?=.)", "    ", block) + "\n\nWords.\n"
    (line, found), = blocks_of(text)
    assert (line, found) == (3, block)
    assert is_conf(found, directives_of(server))
    assert fault_in(server, found)
