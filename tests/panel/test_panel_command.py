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
