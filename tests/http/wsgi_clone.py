# SPDX-License-Identifier: Apache-2.0
"""A WSGI application that counts visits in sessions of its own, whose ids end
in its route. For gunicorn, which other_servers.py starts."""

import json
import os
import secrets
import threading

ROUTE = os.environ["ROUTE"]
sessions = {}
lock = threading.Lock()


def session_of(environ):
    for part in environ.get("HTTP_COOKIE", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == "JSESSIONID" and value in sessions:
            return value
    return None


def application(environ, start_response):
    headers = [("Content-Type", "application/json")]
    if environ["PATH_INFO"] == "/ready":
        start_response("200 OK", headers)
        return [b"ready\n"]
    with lock:
        session = session_of(environ)
        if session is None:
            session = f"{secrets.token_hex(16)}.{ROUTE}"
            headers.append(("Set-Cookie", f"JSESSIONID={session}; Path=/"))
        sessions[session] = sessions.get(session, 0) + 1
        page = {"clone": ROUTE, "n": sessions[session]}
    start_response("200 OK", headers)
    return [json.dumps(page).encode() + b"\n"]
