# SPDX-License-Identifier: Apache-2.0
"""What the router's tests share: a routed balancer, its variables read back
from response headers, the stock balancer-manager page, a port that swallows
connections."""

import re
import socket
import xml.etree.ElementTree as xml

from backend import balancer

OWN = ("proxy_balancer_clone",)
VARIABLES = {
    "name": "BALANCER_NAME", "worker": "BALANCER_WORKER_NAME",
    "route": "BALANCER_WORKER_ROUTE", "changed": "BALANCER_ROUTE_CHANGED",
    "sticky": "BALANCER_SESSION_STICKY",
    "session_route": "BALANCER_SESSION_ROUTE",
    "reason": "CLONE_REASON", "was": "WAS",
}
SHOW = "".join(f'Header always set X-{key} "%{{{name}}}e"\n'
               for key, name in VARIABLES.items())
MANAGER = ("<Location /manager>\nSetHandler balancer-manager\n</Location>\n"
           "ProxyPass /manager !\n")


def shop(clones, inside="ProxyCloneRouting On", options="", members="",
         before="", name="shop"):
    """A configuration with a balancer over these clones; members: a text for
    all BalancerMembers, or a dict from clone id to text."""
    text = balancer(clones, name, options,
                    members if isinstance(members, str) else "")
    if isinstance(members, dict):
        for clone_id, extra in members.items():
            line = clones[clone_id].member()
            text = text.replace(line, f"{line} {extra}")
    text = text.replace("</Proxy>", f"    {inside}\n</Proxy>")
    return MANAGER + SHOW + before + text


def cookie(*ids, session="s1", sep=":", version="0000"):
    """Request headers with a session cookie that lists these clones."""
    return {"Cookie": f"JSESSIONID={version}{session}"
                      + "".join(sep + i for i in ids)}


def shown(answer):
    """The variables of a request, from its answer's headers."""
    result = {}
    for key in VARIABLES:
        value = answer.header(f"X-{key}")
        result[key] = None if value == "(null)" else value
    return result


def served(answer):
    """(clone that answered, reason)."""
    assert answer.status == 200, answer
    assert answer.json["clone"] == shown(answer)["route"]
    return answer.json["clone"], shown(answer)["reason"]


def allow_dead(server):
    """Errors about members that refuse or time out, and one that is down."""
    for tag in ("AH00940", "AH00957", "AH00959", "AH01114", "CR0222"):
        server.log.allow(tag)


def allow_nobody(server):
    """And about a balancer that has nobody left."""
    allow_dead(server)
    server.log.allow("AH01170")
    server.log.allow("CR0220")


class Manager:
    """The stock balancer-manager page, used as a browser uses it."""

    XML = {"h": "http://httpd.apache.org"}

    def __init__(self, server, name="shop", headers=None):
        self.server = server
        self.name = name
        self.headers = dict(headers or {})
        host = self.headers.get("Host", f"127.0.0.1:{server.port}")
        self.headers["Referer"] = f"http://{host}/manager"

    def _tree(self):
        answer = self.server.get("/manager?xml=1", headers=self.headers)
        assert answer.status == 200, answer
        for tree in xml.fromstring(answer.body).iterfind(".//h:balancer",
                                                          self.XML):
            if tree.findtext("h:name", "", self.XML) == \
                    f"balancer://{self.name}":
                return tree
        raise AssertionError(f"no balancer {self.name} on the page")

    @property
    def method(self):
        return self._tree().findtext("h:lbmethod", None, self.XML)

    def members(self):
        """Route to what the page says of the member."""
        result = {}
        for tree in self._tree().iterfind(".//h:worker", self.XML):
            row = {re.sub(r"\{.*\}", "", e.tag): (e.text or "").strip()
                   for e in tree}
            row["elected"] = int(row["elected"])
            row["busy"] = int(row["busy"])
            result[row["route"]] = row
        return result

    def _nonce(self):
        page = self.server.get("/manager", headers=self.headers).text
        return re.search(rf'b={self.name}&amp;nonce=([-0-9a-f]+)"',
                         page).group(1)

    def _post(self, fields):
        form = {"b": self.name, "nonce": self._nonce(), **fields}
        answer = self.server.post("/manager", form=form, headers=self.headers)
        assert answer.status == 200, answer

    def set(self, clone, **fields):
        """set(clone, N=1) a flag; set(clone, ls=1, rr="B", wr="A", lf=1) the
        other fields of the form."""
        names = {k: f"w_status_{k}" if len(k) == 1 else f"w_{k}"
                 for k in fields}
        self._post({"w": clone.url,
                    **{names[k]: str(v) for k, v in fields.items()}})
        row, = [m for m in self.members().values() if m["name"] == clone.url]
        words = {"N": "Drn", "D": "Dis", "S": "Stop", "H": "Stby",
                 "R": "Spar", "C": "HcFl"}
        for key, value in fields.items():
            if key in words:
                assert (words[key] in row["status"]) == bool(value), row

    def set_balancer(self, **fields):
        """set_balancer(lbm="byrequests", sforce=1)"""
        self._post({f"b_{k}": str(v) for k, v in fields.items()})


class BlackHole:
    """A port where connecting takes for ever: its queue is full."""

    id = "X"

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.fill = []
        for _ in range(8):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", self.port))
            self.fill.append(s)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def member(self, options=""):
        return f"BalancerMember {self.url} route={self.id} {options}".rstrip()

    def close(self):
        for s in self.fill + [self.listener]:
            s.close()
