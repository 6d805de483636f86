# SPDX-License-Identifier: Apache-2.0
"""Each way to fail, for each kind of request and client, over each protocol:
what the client gets, how often each clone executed the request, that the one
that failed was chosen, and how it stands afterwards.

One server plays all cells of one protocol, one after the other. A cell names
the failure in its path, so that no clone has to be told first.
"""

import collections
import concurrent.futures
import hashlib
import http.client
import json
import os
import subprocess

import pytest

from backend import AjpClone, Clone, balancer
from client import Response
from process import free_port
from router import MANAGER, OWN, BlackHole, Manager, cookie, shown

# (method, bytes, chunked): how it is sent. All but POST may be sent again.
REQUESTS = [("GET", 0, False), ("POST", 1000, False),
            ("POST", 100_000, False), ("POST", 100_000, True),
            ("PUT", 100_000, False), ("PUT", 100_000, True)]
CLIENTS = ["fresh", "kept-alive", "http2"]
# B executes it once and A (as often as said) before
NEXT = 200, "B"
# what A does: what the client gets of a request that may be sent again, and
# of another; how often A executes the first, and the other
Row = collections.namedtuple("Row", "mode old again once a_again a_once")
ROWS = [
    Row("refused", False, NEXT, NEXT, 0, 0),
    Row("connect-timeout", False, NEXT, NEXT, 0, 0),
    Row("reset", False, NEXT, (502, None), 1, 1),
    Row("reset", True, NEXT, (502, None), 2, 1),
    Row("reset-reused", True, (200, "A"), (502, None), 2, 1),
    Row("close", False, NEXT, (502, None), 1, 1),
    Row("half-headers", False, NEXT, (502, None), 1, 1),
    Row("half-headers", True, NEXT, (502, None), 1, 1),
    Row("half", False, ("cut", "A"), ("cut", "A"), 1, 1),
    Row("garbage", False, NEXT, (502, None), 1, 1),
    Row("hang", False, NEXT, (504, None), 1, 1),
    Row("busy", False, (503, "A"), (503, "A"), 1, 1),
    Row("busy-retried", False, NEXT, (503, "A"), 1, 1),
]
PARTS = {"refused": "R", "connect-timeout": "X"}
ALLOWED = ("AH", "CR0220", "CR0222")


class DeadEnd:
    """A member nobody listens for."""

    id = "R"

    def __init__(self, scheme):
        self.url = f"{scheme}://127.0.0.1:{free_port()}"

    def member(self, options=""):
        return f"BalancerMember {self.url} route={self.id} {options}".rstrip()


class Hole(BlackHole):
    def __init__(self, scheme):
        super().__init__()
        self.scheme = scheme

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.port}"


def configuration(three, scheme):
    """Balancers shop, R, X and retried, over A or a dead end, B and C."""
    hole = Hole(scheme)
    # these two fail in each of their cells, which takes nobody out by itself
    patient = "ProxyCloneFailures 1000\n"
    good = {i: three[i] for i in "BC"}
    text = MANAGER + ("SSLProxyEngine On\nSSLProxyVerify none\n"
                      "SSLProxyCheckPeerName Off\nSSLProxyCheckPeerCN Off\n"
                      "SSLProxyCheckPeerExpire Off\n"
                      if scheme == "https" else "")
    for name, first in (("R", DeadEnd(scheme)), ("X", hole),
                        ("retried", three["A"]), ("shop", three["A"])):
        options = ("ProxyCloneRouting On\n" +
                   {"retried": "ProxyCloneRetryStatus 503\n",
                    "shop": ""}.get(name, patient))
        text += balancer({first.id: first, **good}, name,
                         members="timeout=1 connectiontimeout=200ms"
                         ).replace("</Proxy>", options + "</Proxy>").replace(
                             "ProxyPass / ", f"ProxyPass /{name}/ ")
    # one child, so that it is known which connection is an old one
    text += "ServerLimit 1\nStartServers 1\nMaxRequestWorkers 25\n"
    if scheme != "https":
        text = "Protocols h2c http/1.1\n" + text
    return text, hole


class Cell:
    """One request of the matrix."""

    def __init__(self, row, request, client, scheme):
        self.row, self.request, self.client = row, request, client
        method, size, chunked = request
        self.name = "-".join([row.mode, "old" if row.old else "new", method,
                              str(size), "chunked" if chunked else "plain",
                              client])
        self.body = os.urandom(size) if size else None
        may = method != "POST"
        self.wanted, self.clone = row.again if may else row.once
        self.executed = {"A": row.a_again if may else row.a_once,
                         "B": int(self.clone == "B"), "C": 0}
        part = PARTS.get(row.mode, "shop")
        mode = row.mode
        if mode == "busy-retried":
            mode, part = "busy", "retried"
        self.part = part
        self.path = f"/{part}/mode/A/{mode}/{self.name}"
        self.prime = f"/{part}/mode/A/{'normal' if row.old else 'last'}/x"
        self.first = PARTS.get(row.mode, "A")

    def send(self, server):
        headers = cookie(self.first, "B")
        if self.first == "A" and self.row.mode != "hang":
            answer = server.get(self.prime, headers=headers)
            assert (answer.status, answer.json["clone"]) == (200, "A"), (
                self.name, answer)
        if self.row.mode != "hang":
            self.elected = Manager(server, self.part.lower()).members()[
                self.first]["elected"]
        if self.client == "http2":
            return self.curl(server, headers)
        method, _, chunked = self.request
        with server.client() as c:
            if self.client == "kept-alive":
                assert c.get("/nothing").status == 404
            try:
                answer = c.request(method, self.path, body=self.body,
                                   headers=headers, chunked=chunked)
            except http.client.IncompleteRead as e:
                return Response("cut", [], e.partial)
            if answer.header("Connection") != "close":
                # the client is not left with a connection that is no more
                assert c.get("/nothing").status == 404, self.name
            return answer

    def curl(self, server, headers):
        method, _, chunked = self.request
        argv = ["curl", "-s", "-o", "-", "-w", "\n%{http_code} %{errormsg}",
                "--http2-prior-knowledge", "-X", method, "-H",
                f"Cookie: {headers['Cookie']}", server.url + self.path]
        if self.body is not None:
            argv += ["--data-binary", "@-"]
        if chunked:
            # no length is said then
            argv += ["-H", "Content-Length:"]
        done = subprocess.run(argv, input=self.body or b"",
                              stdout=subprocess.PIPE, timeout=20)
        text, _, said = done.stdout.rpartition(b"\n")
        status = int(said.split()[0])
        # a stream may be reset before the headers are on their way
        return Response("cut" if status in (0, 200) and done.returncode
                        else status, [], text)

    def judge(self, answer, counts):
        """What is wrong with it, or nothing."""
        if answer.status != self.wanted:
            return f"got {answer.status}, not {self.wanted}"
        if answer.status == 200:
            page = answer.json
            sha = hashlib.sha256(self.body or b"").hexdigest()
            if (page["clone"], page["body_len"], page["body_sha"]) != (
                    self.clone, len(self.body or b""), sha):
                return f"got {page}"
        executed = {i: counts[i, self.name] for i in "ABC"}
        if executed != self.executed:
            return f"executed {executed}, not {self.executed}"
        return None


def start(httpd, clones, workdir, scheme):
    if scheme == "https":
        pem = os.path.join(workdir, "clone.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec",
                        "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", "/CN=localhost", "-keyout",
                        pem, "-out", pem + ".crt"], check=True,
                       stderr=subprocess.DEVNULL)
        with open(pem, "a") as whole, open(pem + ".crt") as part:
            whole.write(part.read())
        three = clones("A", "B", "C", certificate=pem)
    else:
        three = clones("A", "B", "C",
                       kind=AjpClone if scheme == "ajp" else Clone)
    text, hole = configuration(three, scheme)
    modules = ["http2", "proxy_ajp"] + (["ssl"] if scheme == "https" else [])
    if scheme == "https":
        text = "Protocols h2c http/1.1\n" + text
    server = httpd(text, own=OWN, modules=modules)
    for tag in ALLOWED:
        server.log.allow(tag)
    return server, three, hole


def judge_member(server, cell):
    """What is wrong with who failed: it was chosen, and is up as before."""
    state = Manager(server, cell.part.lower()).members()[cell.first]
    chosen = state["elected"] - cell.elected
    wrong = []
    # once, also where it was asked again by a fresh connection
    if chosen != 1:
        wrong.append(f"{cell.name}: {cell.first} chosen {chosen} times")
    if state["status"].split() != ["Init", "Ok"]:
        wrong.append(f"{cell.name}: {cell.first} is {state['status']}")
    return wrong


def play(server, three, cells):
    """What is wrong with all cells, one after the other.

    Those that take a second each come last and at the same time.
    """
    slow = [cell for cell in cells if cell.row.mode == "hang"]
    answers, wrong = [], []
    for cell in cells:
        if cell not in slow:
            answers.append((cell, cell.send(server)))
            wrong += judge_member(server, cell)
    with concurrent.futures.ThreadPoolExecutor(len(slow)) as pool:
        answers += zip(slow, pool.map(lambda c: c.send(server), slow))
    counts = collections.Counter(
        (i, r["path"].rpartition("/")[2]) for i in "ABC"
        for r in three[i].requests)
    return wrong + [f"{cell.name}: {fault}" for cell, fault in
                    ((cell, cell.judge(answer, counts))
                     for cell, answer in answers) if fault]


def is_played(row, scheme):
    # mod_proxy_ajp does not say whether a connection is an old one
    return scheme != "ajp" or not row.old


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scheme", ["http", "https", "ajp"])
def test_each_failure_ends_as_the_table_says(httpd, clones, workdir, scheme,
                                             client):
    server, three, hole = start(httpd, clones, workdir, scheme)
    cells = [Cell(row, request, client, scheme) for row in ROWS
             if is_played(row, scheme) for request in REQUESTS]
    wrong = play(server, three, cells)
    assert not wrong, "\n".join(wrong)
    # a failure here and there takes nobody out, many pages that hang do
    assert "Err" in Manager(server).members()["A"]["status"]
    hole.close()
