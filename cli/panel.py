"""``pypcore panel [FOLDER …]``: a web page of the jobs below a folder, live."""

import getpass
import os
import subprocess
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from pypcore.cli.common import JsonOption, console
from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.panel.control import Control
from pypcore.panel.jobs import Jobs
from pypcore.panel.server import PORT, Server, tunnel
from pypcore.view.folders import DEPTH
from pypcore.view.plain import to_json

OUTPUT = "panel-resume.log"  # what a resume said that the panel began, in the job's logs

app = typer.Typer(add_completion=False)


@app.command()
def panel(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="[FOLDER]…", help="Job folders, or folders above; else this one.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help=f"Port on the loopback; 0: any. Else {PORT} or the next free one."),
    ] = None,
    depth: Annotated[int, typer.Option(min=0, max=32, help="Look for jobs so many folders below each FOLDER.")] = DEPTH,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open it in a browser, if there is one.")
    ] = True,
    allow_control: Annotated[
        bool, typer.Option("--allow-control", help="Let the page cancel and resume jobs.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show all jobs below a folder in a web page that follows them. It only reads, and needs no network.

    The page is for you alone: it is on this machine's loopback, and its link works once. On another machine, make the
    tunnel that is printed. Ctrl-C ends it; jobs go on.
    """
    roots = [(folder if folder.is_absolute() else Path.cwd() / folder) for folder in folders or [Path()]]
    for folder in roots:
        if not folder.is_dir():
            raise UsageError(f"{folder}: not a folder; name one with jobs in it or below it")
    jobs = Jobs([folder.resolve() for folder in roots], depth)
    say = _say_json if json else _say
    server = Server(jobs, port, Control(_resume) if allow_control else None, lambda link: say(server, link, again=True))
    jobs.start()
    say(server, server.link, again=False)
    opened = _open(server.link) if browser and not json and _has_screen() else None
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        jobs.stop()
        server.server_close()
        if opened:
            opened.unlink(missing_ok=True)


def _say(server: Server, link: str, *, again: bool) -> None:
    out = console()
    if again:
        out.print(f"Opened. For another browser: {escape(link)}")
        return
    out.print(f"Jobs below {', '.join(escape(str(folder)) for folder in server.jobs.folders)}")
    out.print(f"Open once: {escape(link)}")
    out.print(f"From another computer, first: {escape(tunnel(server.server_port, getpass.getuser()))}", style="dim")
    can = "can cancel and resume jobs" if server.routes.control else "only reads"
    out.print(f"The page {can}. Ctrl-C ends it; jobs go on.", style="dim")


def _say_json(server: Server, link: str, *, again: bool) -> None:
    port, folders = server.server_port, [str(folder) for folder in server.jobs.folders]
    told = {"schema": 1, "url": link, "port": port, "pid": os.getpid(), "folders": folders, "again": again}
    print(to_json({**told, "tunnel": tunnel(port, getpass.getuser())}), flush=True)


def _has_screen() -> bool:
    """Say whether a browser would show on a screen of the user's, not as text in this terminal."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and not os.environ.get("SSH_CONNECTION")


def _open(link: str) -> Path:
    """Open a link by a file that only the user reads: a command line is seen by everybody on the machine."""
    handle, name = tempfile.mkstemp(prefix="pypcore-panel-", suffix=".html", dir=os.environ.get("XDG_RUNTIME_DIR"))
    with os.fdopen(handle, "w") as out:
        out.write(f'<!doctype html><meta charset=utf-8><meta http-equiv=refresh content="0;url={link}">')
    webbrowser.open(Path(name).as_uri())
    return Path(name)


def _resume(job: Job, options: Sequence[str]) -> None:
    """Begin ``pypcore resume`` in a session of its own: it goes on when the panel ends."""
    with (job.logs / OUTPUT).open("ab") as output:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "pypcore.cli.main", "resume", str(job.folder), *options],
            cwd=job.request().root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
