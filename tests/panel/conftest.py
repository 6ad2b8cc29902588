"""A panel in this process on a port of its own, and a browser."""

import contextlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from synthetic_job import SyntheticJob

from pypcore.panel.control import Control
from pypcore.panel.jobs import Jobs
from pypcore.panel.server import Server

TORN = "raw/{}.tiff: the file ends after {} of 40 frames"


class Panel:
    """A running panel, asked as a browser that was let in asks, unless a test says otherwise."""

    def __init__(self, server: Server) -> None:
        self.server, self.port = server, server.server_port
        self.links: list[str] = []
        self.cookie = ""

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def ask(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET", body: str | None = None
    ) -> Any:
        """Send a request as it stands; return (status, headers, body). A header given as '' is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = {"Host": self.host, "Cookie": self.cookie, **(headers or {})}
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                if value:
                    connection.putheader(name, value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body.encode() if body is not None else None)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def get(self, path: str) -> Any:
        """Return what a path answers as JSON."""
        status, _, body = self.ask(path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def enter(self) -> None:
        """Use the link."""
        _, headers, _ = self.ask(self.server.link.partition(self.host)[2])
        self.cookie = headers["Set-Cookie"].partition(";")[0]


OpenPanel = Callable[..., Panel]


@pytest.fixture
def open_panel() -> Iterator[OpenPanel]:
    """Open a panel of the jobs below a folder; it is closed at the end."""
    servers: list[tuple[Server, threading.Thread]] = []

    def start(folder: Path, *, control: Control | None = None, enter: bool = True) -> Panel:
        jobs = Jobs([folder.resolve()], 4)
        server = Server(jobs, 0, control, lambda link: panel.links.append(link))
        panel = Panel(server)
        jobs.start()
        thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.02))
        thread.start()
        servers.append((server, thread))
        if enter:
            panel.enter()
        return panel

    yield start
    for server, thread in servers:
        server.jobs.stop()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def made(tmp_path: Path) -> SyntheticJob:
    """Eight items: 5 done, the first with a picture, 2 torn, 1 waiting; nobody drives the job."""
    made = SyntheticJob(tmp_path / "jobs" / "motion", 8)
    made.run(ended=True, outcome="failed")
    for n in range(5):
        made.end(n, products=made.picture(n) if n == 0 else {}, log=made.log(f"frames of {n}\n"))
    for n in (5, 6):
        made.end(n, "failed", TORN.format(n, n), log=made.log(f"frames of {n}\nall torn\n"))
    return made
