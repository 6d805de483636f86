# SPDX-License-Identifier: Apache-2.0
"""A small HTTP client that shows exactly what the server sent."""

import http.client
import json as json_codec
import socket
import ssl
import urllib.parse


class Jar(dict):
    """A browser's cookies for one site: name to value.

    attributes[name] holds what came with the last Set-Cookie of that name,
    lower case, flags as True.
    """

    def __init__(self, *args, **kw):
        super().__init__(*args, **kw)
        self.attributes = {}

    def header(self):
        return "; ".join(f"{k}={v}" for k, v in self.items())

    def take(self, set_cookie):
        first, *rest = [p.strip() for p in set_cookie.split(";")]
        name, _, value = first.partition("=")
        attributes = {}
        for part in rest:
            k, eq, v = part.partition("=")
            attributes[k.lower()] = v if eq else True
        self.attributes[name] = attributes
        if value == "" or attributes.get("max-age") == "0":
            self.pop(name, None)
        else:
            self[name] = value


class Response:
    """status, headers as a list of pairs in wire order, body as bytes."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    def all(self, name):
        """Every value of a header, in order."""
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def header(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json_codec.loads(self.body)

    def __repr__(self):
        return f"<Response {self.status} {self.headers} {self.body[:300]!r}>"


class Client:
    """One connection, kept alive across requests until close()."""

    def __init__(self, port, tls=False, host="127.0.0.1", timeout=30):
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.connection = http.client.HTTPSConnection(
                host, port, timeout=timeout, context=context)
        else:
            self.connection = http.client.HTTPConnection(host, port,
                                                         timeout=timeout)

    def request(self, method, path, body=None, headers=None, jar=None,
                chunked=False, form=None):
        """form: a dict sent url-encoded; chunked: body in several chunks.

        A header with a list as value is sent once per item.
        """
        pairs = {}
        if form is not None:
            body = urllib.parse.urlencode(form)
            pairs["Content-Type"] = "application/x-www-form-urlencoded"
        if isinstance(body, str):
            body = body.encode()
        pairs.update(headers or {})
        if jar:
            own = pairs.pop("Cookie", None)
            pairs["Cookie"] = (own + "; " if own else "") + jar.header()
        c = self.connection
        names = {k.lower() for k in pairs}
        c.putrequest(method, path, skip_host="host" in names,
                     skip_accept_encoding=True)
        for name, value in pairs.items():
            for one in value if isinstance(value, list) else [value]:
                c.putheader(name, one)
        if chunked:
            c.putheader("Transfer-Encoding", "chunked")
        elif body is not None:
            c.putheader("Content-Length", str(len(body)))
        elif method in ("POST", "PUT", "PATCH"):
            c.putheader("Content-Length", "0")
        try:
            c.endheaders()
            if chunked:
                for i in range(0, len(body or b""), 4096):
                    part = body[i:i + 4096]
                    c.send(b"%x\r\n%s\r\n" % (len(part), part))
                c.send(b"0\r\n\r\n")
            elif body:
                c.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass               # refused early: the answer says why
        answer = c.getresponse()
        response = Response(answer.status, answer.getheaders(), answer.read())
        if jar is not None:
            for value in response.all("Set-Cookie"):
                jar.take(value)
        return response

    def get(self, path, **kw):
        return self.request("GET", path, **kw)

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def raw(port, data, timeout=10):
    """Send these bytes, return all that comes back until the end."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        answer = b""
        while True:
            part = s.recv(65536)
            if not part:
                return answer
            answer += part
