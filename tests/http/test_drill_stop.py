# SPDX-License-Identifier: Apache-2.0
"""session-ha-drill: when a round may begin, what ends it, and who is told."""

import os
import re
import socket
import sys
import threading
import time
import types

import pytest

from drill_site import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools"))

from drill import plan as plans, rounds  # noqa: E402


# ---- pages that say whether the site is whole

@pytest.fixture
def server():
    """Serves one page, byte by byte: server.page, then server.drip each
    0.05 s."""
    one = types.SimpleNamespace(page=b"", drip=b"", is_over=False)
    one.socket = socket.create_server(("127.0.0.1", 0))
    one.url = f"http://127.0.0.1:{one.socket.getsockname()[1]}/"

    def serve():
        while not one.is_over:
            line, _ = one.socket.accept()
            with line:
                line.recv(65536)
                try:
                    line.sendall(one.page)
                    while one.drip and not one.is_over:
                        line.sendall(one.drip)
                        time.sleep(0.05)
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    yield one
    one.is_over = True
    one.socket.close()


def judge(server, see=(), see_not=(), timeout=5):
    check = plans.Check(server.url, [re.compile(s) for s in see],
                        [re.compile(s) for s in see_not])
    return rounds.not_whole(types.SimpleNamespace(checks=[check],
                                                  timeout=timeout))


@pytest.mark.parametrize("page, drip", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x"),
    (b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
    (b"HTTP/1.1 200 OK\r\nX: ", b"x"), (b"", b"x"), (b"HTT", b"")])
def test_a_page_that_drips_holds_nobody_up(server, page, drip):
    server.page, server.drip = page, drip
    begun = time.monotonic()
    why = judge(server, see=["well"], timeout=0.5)
    assert time.monotonic() - begun < 5
    assert why.startswith(server.url + ": ")
    if drip:
        assert why.endswith(": no whole page in 0.5 s")


@pytest.mark.parametrize("page, says", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwell",
     "IncompleteRead: IncompleteRead(4 bytes read, 96 more expected)"),
    (b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nwell",
     "IncompleteRead: IncompleteRead(4 bytes read, 96 more expected)"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
     "IncompleteRead: IncompleteRead(0 bytes read)"),
    (b"hello\r\n\r\n", "BadStatusLine: hello"),
    (b"HTTP/1.1 200 OK\r\n\r\nwell", "is longer than 3 bytes")])
def test_what_is_no_whole_page_is_said(server, monkeypatch, page, says):
    server.page = page
    if "longer" in says:
        monkeypatch.setattr(rounds, "PAGE_MOST", 3)
    assert judge(server, see=["well"]).strip() == f"{server.url}: {says}"


@pytest.mark.parametrize("status, see, see_not, says", [
    (b"200 OK", [], ["down"], None), (b"204 OK", [], ["down"], None),
    (b"404 No", [], ["down"], "status 404"),
    (b"503 No", [], ["down"], "status 503"),
    (b"503 No", ["well"], [], None), (b"503 No", ["well"], ["down"], None)])
def test_a_page_that_says_no_is_content_only_with_what_it_shows(
        server, status, see, see_not, says):
    server.page = b"HTTP/1.1 " + status + b"\r\n\r\n" + (
        b"" if status[:3] == b"204" else b"well")
    assert judge(server, see, see_not) == (
        says and f"{server.url}: {says}")
