# SPDX-License-Identifier: Apache-2.0
"""The router's admin handler, asked and told as a script does it."""

import json

from process import wait_until

ADMIN = ("<Location /clones>\nSetHandler clone-admin\n</Location>\n"
         "ProxyPass /clones !\n")
HEADERS = {"X-Clone-Admin": "yes", "Content-Type": "application/json"}
# directives, and what httpd -t says of them
WRONG = [
    ("ProxyCloneSessionIdle 0",
     "ProxyCloneSessionIdle must be between 1s and 10d, with a unit (ms, s, "
     "m, h, d; default s), not '0'"),
    ("ProxyCloneSessionIdle 11d", "between 1s and 10d"),
    ("ProxyCloneSessionIdle soon", "not 'soon'"),
    ("ProxyCloneDrainDeadline never",
     "ProxyCloneDrainDeadline must be between 0 and 10d"),
    ("ProxyCloneDrainDeadline 1m often", "not 'often'"),
    ("ProxyCloneDrainDeadline None 1m", "not 'None'"),
    ("ProxyCloneSessions 99",
     "ProxyCloneSessions must be between 100 and 40000000, not '99'"),
    ("ProxyCloneSessions 1k", "not '1k'"),
    ("ProxyCloneMaxInFlight", "ProxyCloneMaxInFlight needs a number, or Off"),
    ("ProxyCloneMaxInFlight 0",
     "ProxyCloneMaxInFlight must be between 1 and 1000000, not '0'"),
    ("ProxyCloneMaxInFlight Off queue=1",
     "ProxyCloneMaxInFlight Off takes nothing else, not 'queue=1'"),
    ("ProxyCloneMaxInFlight 5x", "not '5x'"),
    ("ProxyCloneMaxInFlight 5 queue=-1",
     "ProxyCloneMaxInFlight queue= must be between 0 and 100000, not '-1'"),
    ("ProxyCloneMaxInFlight 5 queue=100001", "not '100001'"),
    ("ProxyCloneMaxInFlight 5 wait=2m",
     "ProxyCloneMaxInFlight wait= must be between 0 and 1m"),
    ("ProxyCloneMaxInFlight 5 wait=", "not ''"),
    ("ProxyCloneMaxInFlight 5 3s",
     "takes queue= and wait= behind the number, not '3s'"),
    ("ProxyCloneSlowStart 0", "ProxyCloneSlowStart must be Off, or between 1s "
     "and 1h, with a unit (ms, s, m, h; default s), not '0'"),
    ("ProxyCloneSlowStart 61m", "not '61m'"),
    ("ProxyCloneSlowStart On", "not 'On'"),
    ("ProxyCloneSlowStart 1m 2m", "ProxyCloneSlowStart takes one argument"),
    ("ProxyCloneStateDir a b", "ProxyCloneStateDir takes one argument"),
    ("<VirtualHost *:1>\nProxyCloneSessions 1000\n</VirtualHost>",
     "cannot occur within"),
    ("<VirtualHost *:1>\nProxyCloneStateDir x\n</VirtualHost>",
     "cannot occur within"),
]


class Admin:
    """GET and POST at /clones of a server, for one balancer."""

    def __init__(self, server, balancer="shop", headers=None):
        self.server = server
        self.balancer = balancer
        self.headers = dict(headers or {})

    def get(self, query="", **kw):
        return self.server.get("/clones" + query, headers=self.headers, **kw)

    def post(self, body, headers=None, path="/clones"):
        if not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        sent = {**self.headers, **(HEADERS if headers is None else headers)}
        return self.server.post(path, body=body, headers=sent)

    def member(self, member, query=""):
        """What is said of one member."""
        answer = self.get(f"?balancer={self.balancer}&member={member}{query}")
        assert answer.status in (200, 202), answer
        return answer.json

    def act(self, action, member, **more):
        """The answer to a command."""
        return self.post({"balancer": self.balancer, "member": member,
                          "action": action, **more})

    def do(self, action, member, **more):
        """A command that must succeed; what is said of the member then."""
        answer = self.act(action, member, **more)
        assert answer.status == 200, answer
        if not self.server.log.has("CR0301"):
            assert answer.json["kept"] is True
        self.server.log.expect("CR0300")
        return answer.json

    def until(self, member, timeout=10, **facts):
        """Wait until these facts are said of a member."""
        def look():
            said = self.member(member, "&quiet=0")
            return said if all(said[k] == v for k, v in facts.items()) \
                else None
        try:
            return wait_until(look, timeout, f"{facts}")
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.member(member)}") from None
