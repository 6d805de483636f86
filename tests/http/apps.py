# SPDX-License-Identifier: Apache-2.0
"""Two of the ways an application meets a session, ready to be put into a
configuration: mod_auth_form and a CGI script. The third, a proxied
application, is /app/ of every clone (clone_server.py).

Each function returns configuration text; the caller adds the lines that say
where the session is kept, inside or outside of these locations.
"""

import base64
import hashlib
import os
import urllib.parse

PASSWORDS = {"ada": "lovelace", "grace": "hopper"}

SHOW_SH = """#!/bin/sh
# What the server says of the session, as lines name=value.
printf 'Content-Type: text/plain\\n\\n'
printf 'session=%s\\n' "$HTTP_SESSION"
printf 'header=%s\\n' "$HTTP_X_SESSION"
printf 'user=%s\\n' "$REMOTE_USER"
printf 'load=%s\\n' "$SESSION_HA_LOAD"
printf 'copies=%s\\n' "$SESSION_HA_COPIES"
"""

CHANGE_SH = """#!/bin/sh
# The query string becomes the change: a=1&b= sets a and removes b.
printf 'X-Session-Out: %s\\n' "$QUERY_STRING"
printf 'Content-Type: text/plain\\n\\nchanged\\n'
"""


def password_file(folder):
    """An htpasswd file with PASSWORDS; returns its path."""
    path = os.path.join(folder, "passwords")
    with open(path, "w") as f:
        for user, password in PASSWORDS.items():
            digest = hashlib.sha1(password.encode()).digest()
            f.write(f"{user}:{{SHA}}{base64.b64encode(digest).decode()}\n")
    os.chmod(path, 0o644)
    return path


def auth_form(folder, extra=""):
    """/private for the users of PASSWORDS, /login takes the form, /logout
    ends it.

    extra goes into all three locations: Session On, where it is kept.
    Without a login /private answers 401.
    """
    os.makedirs(folder, exist_ok=True)
    common = f"""
        AuthFormProvider file
        AuthUserFile "{password_file(folder)}"
        AuthType form
        AuthName realm
        {extra}"""
    return f"""
    <Location "/private">{common}
        Require valid-user
    </Location>
    <Location "/login">{common}
        SetHandler form-login-handler
        AuthFormLoginSuccessLocation /private/
        Require all granted
    </Location>
    <Location "/logout">{common}
        SetHandler form-logout-handler
        AuthFormLogoutLocation /
        Require all granted
    </Location>
    """


def log_in(server, jar, user, password=None, **kw):
    """Send the login form; the answer to it (302 when it was right)."""
    return server.post("/login", jar=jar, form={
        "httpd_username": user,
        "httpd_password": PASSWORDS[user] if password is None else password,
        "httpd_location": "/private/"}, **kw)


def log_out(server, jar, **kw):
    return server.get("/logout", jar=jar, **kw)


def session_cgi(server):
    """Install /cgi-bin/show and /cgi-bin/change; returns configuration that
    wants Session On and its store added in <Location "/cgi-bin">."""
    server.cgi("show", SHOW_SH)
    server.cgi("change", CHANGE_SH)
    return """
    <Location "/cgi-bin">
        SessionEnv On
        SessionHeader X-Session-Out
    </Location>
    """


def shown(response):
    """The lines of /cgi-bin/show as a dict."""
    return dict(line.split("=", 1) for line in response.text.splitlines())


def pairs(text):
    """A url-encoded session as a dict, without mod_session's expiry."""
    found = dict(urllib.parse.parse_qsl(text, keep_blank_values=True))
    found.pop("expiry", None)
    return found
