# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the HTTP tests: httpd, memcacheds, clones, workdir."""

import os
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from backend import Clone          # noqa: E402
from client import Jar             # noqa: E402
from httpd import Httpd            # noqa: E402
from memcached import Memcached    # noqa: E402
from plugin_cfg import PluginFile  # noqa: E402
from relay import Relay            # noqa: E402
from router import MANAGER, OWN, SHOW  # noqa: E402


@pytest.fixture
def workdir():
    """A folder that servers started by root can enter, too; tmp_path, below
    a folder of mode 0700, is none. KEEP=1 keeps it."""
    path = tempfile.mkdtemp(prefix="session-ha-test-")
    os.chmod(path, 0o755)
    yield path
    if os.environ.get("KEEP"):
        print(f"kept {path}")
    else:
        shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def jar():
    """A browser's cookies: httpd.get(path, jar=jar)."""
    return Jar()


@pytest.fixture
def memcacheds(workdir):
    """memcacheds(n, names=None, unix=False) -> list of running nodes."""
    started = []

    def factory(n, names=None, unix=False, **kw):
        names = names or [f"m{len(started) + i + 1}" for i in range(n)]
        nodes = []
        for name in names:
            path = os.path.join(workdir, name + ".sock") if unix else None
            node = Memcached(name, unix=path, **kw)
            started.append(node)
            nodes.append(node.start())
        return nodes

    if os.geteuid() == 0:
        os.chmod(workdir, 0o777)
    yield factory
    for node in started:
        node.kill9()


@pytest.fixture
def relays(workdir):
    """relays(nodes) -> a relay before each, named and used like the node."""
    started = []

    def factory(nodes):
        result = []
        for node in nodes:
            relay = Relay(node.port, workdir, node.name)
            started.append(relay)
            result.append(relay.start())
        return result

    yield factory
    for relay in started:
        relay.kill9()


@pytest.fixture
def clones(workdir):
    """clones("A", "B", profile="websphere") -> dict id to running Clone.

    certificate: a PEM file, for clones that speak TLS; kind: another class.
    """
    started = []

    def factory(*ids, profile="websphere", certificate=None, kind=Clone):
        result = {}
        for clone_id in ids:
            clone = kind(clone_id, os.path.join(
                workdir, f"clone{len(started)}-{clone_id}"), profile,
                certificate)
            started.append(clone)
            result[clone_id] = clone.start()
        return result

    yield factory
    for clone in started:
        clone.kill9()


@pytest.fixture
def httpd(request, workdir, memcacheds, clones):
    """httpd(conf_text, **kw) -> started Httpd; start=False for one that is
    only configured. At the end every error_log is read: a line of level warn
    or worse that no log.expect() or log.allow() announced fails the test.
    """
    servers = []

    def factory(conf="", start=True, **kw):
        name = kw.pop("name", f"httpd{len(servers) + 1}")
        server = Httpd(os.path.join(workdir, name), conf, name=name, **kw)
        servers.append(server)
        return server.start() if start else server

    yield factory
    for server in servers:
        server.stop()
    bad = [f"{s.name}: {line}" for s in servers for line in s.leftovers()]
    for s in servers:
        if s.log.text:
            request.node.add_report_section("teardown", f"{s.name} error_log",
                                            s.log.text[-20000:])
    if bad:
        pytest.fail("unannounced lines in error_log:\n" + "\n".join(bad),
                    pytrace=False)


@pytest.fixture
def plugin(workdir, httpd):
    """plugin(text) -> a server that routes by this plugin-cfg.xml."""
    def factory(text, before="", after="", **kw):
        file = PluginFile(workdir, text)
        site = httpd(MANAGER + SHOW + before + file.directive + after,
                     own=OWN, **kw)
        site.cfg = file
        return site

    return factory
