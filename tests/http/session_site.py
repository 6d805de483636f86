# SPDX-License-Identifier: Apache-2.0
"""What the tests of mod_session_ha share: a secret, a site, an application.

The application is a CGI script. It changes the session by what stands in the
query (SessionHeader), and tells the session that it was given (SessionEnv).
"""

import base64
import hashlib
import os
import secrets
import urllib.parse

from process import wait_until

APP = """#!/bin/sh
echo "Content-Type: text/plain"
if [ -n "$QUERY_STRING" ]; then echo "X-Change: $QUERY_STRING"; fi
echo
echo "session=$HTTP_SESSION"
echo "load=$SESSION_HA_LOAD"
echo "copies=$SESSION_HA_COPIES"
echo "header=$HTTP_X_SESSION"
echo "cookie=$HTTP_COOKIE"
"""

HERE = """
Session On
SessionEnv On
SessionHeader X-Change
"""


def secret_file(folder, *more, name="secrets", mode=0o600):
    """A file of secrets, one new one in front; returns its path."""
    path = os.path.join(folder, name)
    lines = [secrets.token_urlsafe(32)] + list(more)
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")
    os.chmod(path, mode)
    return path


def read_secrets(path):
    with open(path) as f:
        return f.read().split()


def nodes_conf(nodes, secret, zones=None):
    """SessionHAServer lines for running memcacheds.

    The budget is for machines that run many tests at once; tests that
    measure time set their own behind it.
    """
    lines = [f"SessionHAServer name={n.name} address={n.address}"
             + (f" zone={zones[i]}" if zones else "")
             for i, n in enumerate(nodes)]
    return "\n".join(lines + [f"SessionHASecretFile {secret}",
                              "SessionHATimeBudget 2s", ""])


class Site:
    """An httpd with /cgi-bin/app, and the sessions it keeps."""

    def __init__(self, server):
        self.server = server
        self.log = server.log
        server.cgi("app", APP)

    def set(self, jar, **changes):
        """Change the session; an empty value takes an attribute away."""
        return self.server.get("/cgi-bin/app?"
                               + urllib.parse.urlencode(changes), jar=jar)

    def told(self, jar=None, path="/cgi-bin/app", **kw):
        """What the application is told, as a dict."""
        answer = self.server.get(path, jar=jar, **kw)
        assert answer.status == 200, answer
        return fields(answer)

    def session(self, jar):
        """The attributes that the application is given."""
        return attributes(self.told(jar)["session"])


def fields(answer):
    return dict(line.split("=", 1) for line in answer.text.splitlines())


def attributes(encoded):
    """Attributes of url-encoded pairs, without mod_session's expiry."""
    pairs = dict(urllib.parse.parse_qsl(encoded, keep_blank_values=True))
    pairs.pop("expiry", None)
    return pairs


def login_conf(folder, user="ada", password="lovelace"):
    """A page for users only, /login and /logout, after mod_auth_form."""
    digest = base64.b64encode(hashlib.sha1(password.encode()).digest())
    path = os.path.join(folder, "users")
    with open(path, "w") as f:
        f.write(f"{user}:{{SHA}}{digest.decode()}\n")
    os.chmod(path, 0o644)
    return f"""
        <Location /private>
            AuthType form
            AuthName shop
            AuthFormProvider file
            AuthUserFile {path}
            Require valid-user
        </Location>
        <Location /login>
            SetHandler form-login-handler
            Require all granted
            AuthType form
            AuthName shop
            AuthFormProvider file
            AuthUserFile {path}
            AuthFormLoginSuccessLocation /private
        </Location>
        <Location /logout>
            SetHandler form-logout-handler
            Require all granted
            AuthType form
            AuthName shop
        </Location>
        Session On
    """


def login(server, jar, user="ada", password="lovelace"):
    return server.post("/login", jar=jar, form={
        "httpd_username": user, "httpd_password": password})


def ask_until_down(site, path, jar):
    """Requests until a node is marked down: how many there were."""
    count = 0

    def is_down():
        nonlocal count
        assert site.server.get(path, jar=jar).status == 200
        count += 1
        return site.log.has("HA0212")

    wait_until(is_down, 30, "node marked down")
    return count
