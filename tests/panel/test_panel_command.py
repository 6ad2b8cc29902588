"""``pypcore panel`` as it is started and ended."""

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from synthetic_job import SyntheticJob


def start(*arguments: str, folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "pypcore.cli.main", "panel", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_says_the_link_and_the_tunnel_serves_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    SyntheticJob(tmp_path / "job", 1)
    with start("--json", "--port", "0", folder=tmp_path) as panel:
        assert panel.stdout is not None
        told = json.loads(panel.stdout.readline())
        assert told["url"].startswith(f"http://127.0.0.1:{told['port']}/?token=")
        assert told["tunnel"].startswith(f"ssh -N -L {told['port']}:127.0.0.1:{told['port']} ")
        assert told["folders"] == [str(tmp_path.resolve())]
        with urllib.request.urlopen(told["url"], timeout=20) as answer:
            assert "HttpOnly" in answer.headers["Set-Cookie"]
        again = json.loads(panel.stdout.readline())
        assert again["again"]
        assert again["url"] != told["url"]
        panel.send_signal(signal.SIGINT)
        _, said = panel.communicate(timeout=20)
        assert (panel.returncode, said) == (4, "pypcore: stopped\n")


@pytest.mark.parametrize("what", ["folder", "port"])
def test_what_it_cant_use_is_one_line(tmp_path: Path, what: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ["nowhere"] if what == "folder" else ["--port", port]
        with start("--no-browser", *arguments, folder=tmp_path) as panel:
            _, said = panel.communicate(timeout=20)
    assert panel.returncode == (2 if what == "folder" else 3)
    assert said.count("\n") == 1
    assert ("not a folder" if what == "folder" else f"port {port}: Address already in use") in said


def test_a_folder_that_cannot_be_read_says_why_and_hides_no_other(open_panel, tmp_path: Path) -> None:
    SyntheticJob(tmp_path / "good", 1)
    bad = SyntheticJob(tmp_path / "bad", 1)
    bad.job.request_file.write_text("schema = 99\n")
    panel = open_panel(tmp_path)
    cards = {one["name"]: one for one in panel.get("/api/jobs")["jobs"]}
    assert cards["bad"]["state"] == "unreadable"
    assert "another version of pypcore" in cards["bad"]["message"]
    assert cards["good"]["items"] == 1
    status, _, body = panel.ask(f"/api/jobs/{cards['bad']['id']}")
    assert (status, b"another version" in body) == (404, True)


def test_changes_are_told_as_they_come_and_so_are_jobs_that_go(open_panel, tmp_path: Path) -> None:
    made = SyntheticJob(tmp_path / "job", 3)
    made.run()
    panel = open_panel(tmp_path)
    with socket.create_connection(("127.0.0.1", panel.port), timeout=30) as raw, raw.makefile("r") as lines:
        raw.sendall(f"GET /api/events HTTP/1.1\r\nHost: {panel.host}\r\nCookie: {panel.cookie}\r\n\r\n".encode())
        told = (json.loads(line[6:]) for line in lines if line.startswith("data: "))
        assert next(told)["jobs"][0]["counts"]["done"] == 0
        made.end(0)
        while (news := next(told))["jobs"][0]["counts"]["done"] != 1:
            pass
        made.job.folder.rename(tmp_path / ".hidden")
        while not (news := next(told))["gone"]:
            pass
        assert news["jobs"] == []


def test_the_command_starts_light() -> None:
    code = "import pypcore.cli.panel, sys; print({'numpy', 'matplotlib', 'PIL', 'numba'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
