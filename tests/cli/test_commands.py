"""The command line as a user meets it: what it prints, and how it exits."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import typer

from pypcore.cli.main import VERBS

Pypcore = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def pypcore(tmp_path: Path) -> Pypcore:
    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-P", "-m", "pypcore.cli.main", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "COLUMNS": "100", **environment},
        )

    return run


@pytest.fixture
def items(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for n in range(1, 5):
        (tmp_path / "in" / f"m_{n}.dat").write_text("x")
    return tmp_path / "in"


def test_run_says_what_it_does_and_where_the_products_are(pypcore: Pypcore, items: Path) -> None:
    done = pypcore("run", "rehearse", "in", "-o", "job", "--walltime", "5:30")
    assert done.returncode == 0
    assert "walltime 5:30 is 5 minutes 30 seconds" in done.stderr
    assert "4/4 items" in done.stderr
    assert "4 done" in done.stdout
    assert "rehearsed.txt" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr  # no colours in a file
    again = pypcore("run", "rehearse", "in", "-o", "job")
    assert again.returncode == 0
    assert "Nothing to do: 4 done" in again.stdout


def test_a_failed_item_is_one_line_and_exit_code_1(pypcore: Pypcore, items: Path) -> None:
    run = pypcore("run", "rehearse", "in", "-o", "job", "--fail", "m_2")
    assert run.returncode == 1
    assert [line for line in run.stderr.splitlines() if line.startswith("failed m_2: in/m_2.dat")]
    assert "pypcore resume job" in run.stdout
    status = pypcore("status", "job")
    assert status.returncode == 1
    assert "failed m_2" in status.stdout
    logs = pypcore("logs", "job")
    assert logs.stdout.startswith("m_2: failed: in/m_2.dat: told to fail")
    shown = pypcore("show", "job", "m_2")
    assert "attempt 0001-" in shown.stdout


def test_reading_verbs_speak_json(pypcore: Pypcore, items: Path) -> None:
    run = json.loads(pypcore("run", "rehearse", "in", "-o", "job", "--json").stdout)
    status = json.loads(pypcore("status", "job", "--json").stdout)
    shown = json.loads(pypcore("show", "job", "m_3", "--json").stdout)
    version = json.loads(pypcore("version", "--json").stdout)
    assert run["state"] == status["state"] == "done"
    assert status["counts"]["done"] == 4
    assert shown["item"]["name"] == "m_3"
    assert {reply["schema"] for reply in (run, status, shown, version)} == {1}


def test_a_dry_run_gives_reasons_and_origins_and_does_nothing(pypcore: Pypcore, items: Path, tmp_path: Path) -> None:
    (tmp_path / "pypcore.toml").write_text("[resources.split]\nbundle_size = 2\n")
    dry = ("run", "rehearse", "in", "-o", "job", "--config", "pypcore.toml", "--seconds", "0.1", "--dry-run")
    text = pypcore(*dry)
    assert text.returncode == 0
    assert "4 of 4 items to do, 2 bundles of 2" in text.stdout
    told = json.loads(pypcore(*dry, "--json").stdout)
    assert [item["reason"] for item in told["items"]] == ["new"] * 4
    assert told["origins"] == {"bundle_size": "pypcore.toml", "seconds": "command line"}
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("statsu", "job"), 2, "did you mean 'status'"),
        (("run", "rehears", "in", "-o", "job"), 2, "did you mean 'rehearse'"),
        (("run", "rehearse", "in", "-o", "job", "--secnds", "1"), 2, "--seconds"),
        (("run", "rehearse", "in"), 2, "--output"),
        (("run", "rehearse", "none/*", "-o", "job"), 2, "none/*: no such file"),
        (("run", "rehearse", "in", "-o", "job", "--walltime", "soon"), 2, "walltime 'soon' is not a time"),
        (("run", "rehearse", "in", "-o", "job", "--threads", "7", "--total-threads", "5"), 2, "at least 7"),
        (("run", "rehearse", "in", "-o", "job", "--threads", "4096"), 3, "the largest that fits"),
        (("run", "rehearse", "in", "-o", "in/m_1.dat"), 2, "is a file"),
        (("status", "nowhere"), 2, "nowhere: not a job folder"),
        (("resume", "nowhere"), 2, "nowhere: not a job folder"),
    ],
)
def test_a_mistake_is_one_clear_line(
    arguments: tuple[str, ...], code: int, said: str, pypcore: Pypcore, items: Path
) -> None:
    wrong = pypcore(*arguments)
    assert wrong.returncode == code
    assert said in " ".join(wrong.stderr.replace("│", " ").split())
    assert "Traceback" not in wrong.stderr


def test_an_unknown_item_is_named_with_the_nearest(pypcore: Pypcore, items: Path) -> None:
    pypcore("run", "rehearse", "in", "-o", "job")
    wrong = pypcore("show", "job", "m_33")
    assert wrong.returncode == 2
    assert "did you mean 'm_3'" in wrong.stderr


def test_resume_after_a_bad_file_was_replaced_does_that_one_alone(pypcore: Pypcore, items: Path) -> None:
    pypcore("run", "rehearse", "in", "-o", "job", "--fail", "m_2")
    (items / "m_2.dat").write_text("replaced")
    dry = json.loads(pypcore("resume", "job", "--dry-run", "--json").stdout)
    assert [item["name"] for item in dry["items"] if item["action"] == "do"] == ["m_2"]
    assert [item["reason"] for item in dry["items"] if item["action"] == "do"] == ["its file changed"]


def test_cancel_without_a_run_says_so(pypcore: Pypcore, items: Path) -> None:
    pypcore("run", "rehearse", "in", "-o", "job")
    assert "nothing is running" in pypcore("cancel", "job").stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_verbs(shell: str, pypcore: Pypcore) -> None:
    environment = {"_PYPCORE_COMPLETE": f"complete_{shell}", "COMP_WORDS": "pypcore re", "COMP_CWORD": "1"}
    environment |= {"_TYPER_COMPLETE_ARGS": "pypcore re", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    code = "import sys; sys.argv[0] = 'pypcore'; from pypcore.cli.main import app; app(prog_name='pypcore')"
    told = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert "resume" in told.stdout


def test_every_verb_has_help_with_units(pypcore: Pypcore) -> None:
    assert "GB" in pypcore("run", "rehearse", "--help").stdout
    for verb in ("run", "resume", "status", "show", "logs", "cancel", "demo", "version"):
        assert pypcore(verb, "--help").returncode == 0


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_every_verb_has_its_help(verb: str) -> None:
    command = typer.main.get_command(import_module(f"pypcore.cli.{verb}").app)
    assert command.help
    assert [option.name for option in command.params if not getattr(option, "help", "")] == []
