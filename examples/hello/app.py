"""A web application that answers with its host name and how often it was asked; the standard library only."""

from __future__ import annotations

import html
import itertools
import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOST = socket.gethostname()
visits = itertools.count(1)

PAGE = """<!doctype html>
<title>Hello from tuidock</title>
<h3>Hello {name}!</h3>
<b>Hostname:</b> {host}<br>
<b>Visits:</b> {visits} answered by this replica
"""


class Hello(BaseHTTPRequestHandler):
    """HTTP/1.0: a connection a request, so that every request is balanced."""

    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        if self.path == "/health":
            self.answer("text/plain", "ok\n")
            return
        if self.path != "/":
            self.send_error(404)
            return
        name = html.escape(os.environ.get("NAME", "World"))
        self.answer("text/html; charset=utf-8", PAGE.format(name=name, host=HOST, visits=next(visits)))

    def answer(self, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print(f"{self.client_address[0]} {format % args}", flush=True)


def stop(number: int, frame: object) -> None:
    """At once: no connection outlives its request, so there is nothing to finish."""
    print("bye", flush=True)
    os._exit(0)


def main() -> None:
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "80"))), Hello)
    print(f"{HOST} listens on port {server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
