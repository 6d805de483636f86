# SPDX-License-Identifier: Apache-2.0
"""A small shop, run three times as the clones of the demonstration.

usage: shop.py <port> <clone id>

It behaves as WebSphere does towards a router: JSESSIONID=0000<id>:<clone> for
a new visitor, its own name appended to a list that lacks it. It keeps no state
at all. The session comes with each request in X-Session, as url-encoded pairs
from mod_session_ha; changes go back in X-Session-Changes, where a pair without
a value removes its key.
"""

import http.server
import secrets
import socketserver
import string
import sys
import urllib.parse

import page

COOKIE = "JSESSIONID"
LETTERS = string.ascii_letters + string.digits + "-_"
COUNT_MAX = 99
BODY_MAX = 4096
USER_MAX = 30


def clone_list(cookie_header, clone):
    """(value the client sent or None, value it shall send)."""
    for pair in (cookie_header or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE and value:
            if clone in value.split(":")[1:]:
                return value, value
            return value, f"{value}:{clone}"
    name = "".join(secrets.choice(LETTERS) for _ in range(23))
    return None, f"0000{name}:{clone}"


def item_key(item):
    return f"item-{item}"


def items_of(session):
    """The basket: item to count, only what the shop sells."""
    items = {}
    for item in page.GOODS:
        count = session.get(item_key(item), "")
        if count.isdigit() and int(count) > 0:
            items[item] = min(int(count), COUNT_MAX)
    return items


def basket_change(session, form):
    """The pair that puts one more, or one less, into the basket."""
    item, change = form.get("item"), form.get("change")
    if item not in page.GOODS or change not in ("1", "-1"):
        return None
    count = items_of(session).get(item, 0) + int(change)
    count = max(0, min(count, COUNT_MAX))
    return {item_key(item): str(count) if count else ""}


def login_change(session, form):
    user = " ".join(form.get("user", "").split())[:USER_MAX]
    return {"user": user} if user else None


def logout_change(session, form):
    """Remove every key: a session with nothing in it has ended."""
    return {key: "" for key in session}


ACTIONS = {"/basket": basket_change, "/login": login_change,
           "/logout": logout_change}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    clone = "?"

    def log_message(self, *args):
        pass

    def session(self):
        return dict(urllib.parse.parse_qsl(self.headers.get("X-Session", "")))

    def fact(self, name):
        """A header of the web server; mod_headers says (null) for unset."""
        value = self.headers.get(name, "")
        return "" if value == "(null)" else value

    def reply(self, status, body=b"", extra=()):
        self.send_response(status)
        before, after = clone_list(self.headers.get("Cookie"), self.clone)
        if after != before:
            self.send_header("Set-Cookie",
                             f"{COOKIE}={after}; Path=/; HttpOnly; "
                             f"SameSite=Lax")
        for name, value in extra:
            self.send_header(name, value)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        path = self.path.split("?")[0].split(";")[0]
        if path == "/health":
            return self.reply(200, b"well\n", [("Content-Type",
                                                "text/plain")])
        if path != "/":
            return self.reply(404, b"There is only the shop, at /\n",
                              [("Content-Type", "text/plain")])
        session = self.session()
        text = page.shop(self.clone, self.fact("X-Web-Server"),
                         self.fact("X-Session-Copies"),
                         session.get("user", ""), items_of(session))
        self.reply(200, text.encode(), [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", "default-src 'none'; style-src "
             "'unsafe-inline'; form-action 'self'; base-uri 'none'; "
             "frame-ancestors 'none'"),
            ("X-Content-Type-Options", "nosniff")])

    do_HEAD = do_GET

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > BODY_MAX:
            self.close_connection = True
            return self.reply(413 if length.isdigit() else 411)
        text = self.rfile.read(int(length)).decode("utf-8", "replace")
        action = ACTIONS.get(self.path.split(";")[0])
        if not action:
            return self.reply(404)
        form = dict(urllib.parse.parse_qsl(text))
        changes = action(self.session(), form)
        if changes is None:
            return self.reply(400, b"That is not in the shop.\n",
                              [("Content-Type", "text/plain")])
        extra = [("Location", "/")]
        if changes:
            extra.append(("X-Session-Changes", urllib.parse.urlencode(
                changes, quote_via=urllib.parse.quote)))
        self.reply(303, extra=extra)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def server_bind(self):
        # without the look-up of our own name that HTTPServer makes
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def handle_error(self, request, client_address):
        # a killed router leaves half a request behind: that is the demo
        pass


def main():
    Handler.clone = sys.argv[2]
    Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever(60)


if __name__ == "__main__":
    main()
