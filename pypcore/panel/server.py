"""The panel's server: one thread a request, on the loopback only, with Python's own library.

Each request passes the guard before anything of it is looked at. What changes is told as server-sent events.
"""

import json
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pypcore.errors import PypcoreError, SetupError, UsageError
from pypcore.panel.control import Control
from pypcore.panel.guard import CSRF, HEADERS, Guard, comes_from_elsewhere, host_is_ours
from pypcore.panel.jobs import Jobs
from pypcore.panel.routes import Answer, Missing, Routes, as_json
from pypcore.view.plain import to_json

ADDRESS = "127.0.0.1"
PORT = 8465
TRIED = 20  # ports from PORT on, where none was asked for
MOST_BODY = 64 * 1024
MOST_LISTENERS = 32
STILL_HERE_S = 15.0  # a listener that is gone is noticed by then
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_PLAIN = "<!doctype html><meta charset=utf-8><title>pypcore panel</title>{head}<h1>pypcore panel</h1><p>{text}"


class Server(ThreadingHTTPServer):
    """Serves the page and what it asks. ``linked`` is called with a new link each time the last one was used."""

    daemon_threads = True

    def __init__(self, jobs: Jobs, port: int | None, control: Control | None, linked: Callable[[str], None]) -> None:
        self._bind(port)
        self.guard = Guard(self.server_port)
        self.jobs = jobs
        self.routes = Routes(jobs, self.guard.csrf, control)
        self.linked = linked
        self.page = _read_page()
        self.listeners = threading.BoundedSemaphore(MOST_LISTENERS)

    def _bind(self, port: int | None) -> None:
        for tried in range(PORT, PORT + TRIED) if port is None else (port,):
            try:
                super().__init__((ADDRESS, tried), Handler)
            except OSError as error:
                said = f"port {tried}: {error.strerror}; give another one with --port, or 0 for any that is free"
                failed = SetupError(said)
            else:
                return
        raise failed

    @property
    def link(self) -> str:
        """The link that opens the panel, once."""
        return f"http://{ADDRESS}:{self.server_port}/?token={quote(self.guard.token)}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """One connection of a browser."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "pypcore", ""
    timeout = 60.0  # seconds that a silent connection is kept

    def do_GET(self) -> None:
        """Answer a question."""
        url = urlsplit(self.path)
        query = parse_qs(url.query, max_num_fields=40)
        if not self._let_in(url.path, query):
            return
        if url.path == "/api/events" and self.command == "GET":
            self._events()
        elif url.path.startswith("/api/"):
            self._answer(lambda: self.server.routes.get(url.path, query))
        elif answer := self.server.page.get("/index.html" if url.path == "/" else url.path):
            self._send(answer)
        else:
            self._refuse(404, "nothing is here")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Do something to a job, where that is allowed."""
        if not self._let_in(urlsplit(self.path).path, {}):
            return
        if self.server.routes.control is None:
            self._refuse(403, "this panel only shows; start it with --allow-control to let it change jobs")
        elif not self.server.guard.may_change(self.headers.get(CSRF, "")) or "Origin" not in self.headers:
            self._refuse(403, "the request did not come from the panel's own page")
        else:
            self._answer(lambda: self.server.routes.post(self.path, self._body()))

    # -- who is it

    def _let_in(self, path: str, query: dict[str, list[str]]) -> bool:
        """Say whether the request may go on; answer it where not."""
        guard = self.server.guard
        if len(self.headers.get_all("Host", [])) != 1 or not host_is_ours(self.headers["Host"]):
            self._refuse(421, "the panel answers to localhost only; through a tunnel too")
        elif path == "/" and "token" in query:
            self._redeem(query["token"][0])
        elif not guard.knows(self.headers.get("Cookie", "")):
            self._refuse(403, "open the link that the terminal shows; each one works once")
        elif comes_from_elsewhere(self.headers):
            self._refuse(403, "another page asked for this; the panel answers to its own only")
        else:
            return True
        return False

    def _redeem(self, token: str) -> None:
        session = self.server.guard.redeem(token)
        if session is None:
            # Whoever is in already may reload the link.
            if self.server.guard.knows(self.headers.get("Cookie", "")):
                self._on_to_the_page({})
            else:
                self._refuse(403, "this link was used before; the terminal shows a new one")
            return
        self.server.linked(self.server.link)
        self._on_to_the_page({"Set-Cookie": session})

    def _on_to_the_page(self, headers: dict[str, str]) -> None:
        """Lead to the page by a page of ours: the cookie is not sent along where another site's link led here."""
        text = _PLAIN.format(head='<meta http-equiv=refresh content="0;url=/">', text='<a href="/">Open the panel</a>')
        self._send(Answer(text.encode(), "text/html; charset=utf-8", headers=headers))

    # -- answering

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MOST_BODY:
            self.close_connection = True
            raise UsageError(f"a request has at most {MOST_BODY} bytes and says how many")
        try:
            wanted = json.loads(self.rfile.read(int(length)) or b"{}")
        except ValueError:
            wanted = None
        if not isinstance(wanted, dict):
            raise UsageError("a request is a JSON object")
        return wanted

    def _answer(self, find: Callable[[], Answer]) -> None:
        try:
            answer = find()
        except Missing:
            answer = as_json({"error": "nothing is here"}, 404)
        except PypcoreError as error:
            answer = as_json(
                {"error": str(error)}, 404 if isinstance(error, UsageError) and self.command == "GET" else 409
            )
        except OSError as error:  # a folder that was moved or is not ours to read
            answer = as_json({"error": f"{error.filename or 'the job'}: {error.strerror}"}, 404)
        except Exception as error:
            traceback.print_exc()
            answer = as_json({"error": f"{type(error).__name__}; the terminal has more"}, 500)
        self._send(answer)

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True  # what else it sent is not read
        if self.path.startswith("/api/"):
            self._send(as_json({"error": why}, status))
        else:
            text = _PLAIN.format(head="", text=escape(why))
            self._send(Answer(text.encode(), "text/html; charset=utf-8", status))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in {**HEADERS, "Content-Type": answer.kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _events(self) -> None:
        """Tell what changes, until the browser goes away."""
        if not self.server.listeners.acquire(blocking=False):
            self._refuse(503, f"{MOST_LISTENERS} pages listen already; close some")
            return
        jobs, self.close_connection = self.server.jobs, True
        with jobs.changed:
            jobs.watched += 1
        try:
            self.send_response(200)
            for name, value in {**HEADERS, "Content-Type": "text/event-stream", "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            told: dict[str, int] = {}
            while True:
                now = jobs.versions()
                news = [card for key, known in now.items() if told.get(key) != known and (card := jobs.card(key))]
                gone = [key for key in told if key not in now]
                told = now
                said = f"data: {to_json({'jobs': news, 'gone': gone})}\n\n" if news or gone else ": still here\n\n"
                self.wfile.write(said.encode())
                self.wfile.flush()
                with jobs.changed:
                    if jobs.versions() == told:
                        jobs.changed.wait(STILL_HERE_S)
        except OSError:
            pass  # the browser is gone
        finally:
            self.server.listeners.release()
            with jobs.changed:
                jobs.watched -= 1

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request: links have tokens in them."""


def tunnel(port: int, user: str, host: str | None = None) -> str:
    """Return the ssh command that brings the panel to the user's own computer."""
    return f"ssh -N -L {port}:{ADDRESS}:{port} {user}@{host or socket.getfqdn()}"


def _read_page() -> dict[str, Answer]:
    """Read the page's files once: a request names one of them or nothing."""
    found = {}
    for file in (files("pypcore.panel") / "page").iterdir():
        kind = TYPES.get(file.name.rpartition(".")[2])
        if kind:
            found[f"/{file.name}"] = Answer(file.read_bytes(), f"{kind}; charset=utf-8")
    return {**found, "/favicon.ico": found["/icon.svg"]}  # what a browser asks for where a page names none
