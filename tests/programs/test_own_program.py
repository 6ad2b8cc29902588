"""A program of the user's own, added by a file: what docs/programs.md shows, and what is refused with which words."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from program_cases import Bench, tomograms

from pypcore.errors import SetupError, UsageError
from pypcore.job import Job
from pypcore.local import Outcome, run_here
from pypcore.operation import get_operation
from pypcore.options import prepare
from pypcore.programs.card import read_cards
from pypcore.programs.start import Start, find_start
from pypcore.status import read_status

DOCUMENT = Path(__file__).parents[2] / "docs" / "programs.md"
PROGRAM = """#!/bin/sh
# A program as labs have them: it smooths a volume (it copies it), wants a GPU by number, and says how far it is.
[ "$1" = --version ] && { echo "smoothie 2.1"; exit; }
echo "1 of 2 done"; echo "2 of 2 done"
[ -n "$SMOOTHIE_SLEEP" ] && { sleep 600 & sleep 600; }
cp -L "$2" "$4"
echo "$@" > "$HOME/words"
"""


@pytest.fixture
def card(bench: Bench) -> Path:
    """The card of the document, in the folder, and its program on PATH."""
    (text,) = re.findall(r"```toml title=smoothie.toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    (bench.folder / "smoothie.toml").write_text(text)
    program = bench.folder / "bin" / "smoothie"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return bench.folder / "smoothie.toml"


def run(bench: Bench, name: str, **options: object) -> Outcome:
    if not (bench.folder / "t1.mrc").exists():
        tomograms(bench.folder)
    request = prepare(name, ["t1.mrc", "t2.mrc"], "job", options).request
    return run_here(Job(bench.folder / "job"), request)


def test_it_runs_as_any_other_operation(bench: Bench, card: Path):
    bench.gpus("")
    outcome = run(bench, "smoothie.toml", device="cpu", width=2.5)
    assert outcome.exit_code == 0
    rows = read_status(Job.open(bench.folder / "job")).table()
    assert [row["outcome"] for row in rows] == ["done", "done"]
    assert rows[0]["program_version"] == "2.1"
    assert sorted(os.listdir(bench.folder / "job/smoothed")) == ["t1.mrc", "t2.mrc"]
    assert (bench.folder / "words").read_text().split() == ["-i", "in.mrc", "-o", "out.mrc", "--width", "2.5"]


def test_another_card_makes_what_was_done_out_of_date(bench: Bench, card: Path):
    run(bench, "smoothie.toml", device="cpu")
    card.write_text(card.read_text() + "\n# changed\n")
    os.utime(card, (1, 1))
    with pytest.raises(UsageError, match=r"smoothie\.toml was replaced"):
        run(bench, "smoothie.toml", device="cpu")


def test_the_command_line_takes_it_by_its_path(bench: Bench, card: Path):
    said = subprocess.run(
        [sys.executable, "-P", "-m", "pypcore.cli.main", "run", "smoothie.toml", "--help"],
        cwd=bench.folder, capture_output=True, text=True, env={**os.environ, "COLUMNS": "140"}, check=True,
    ).stdout  # fmt: skip
    assert "--width" in said
    assert "Å" in said
    assert "--device" in said


def test_bad_values_are_refused_with_their_rule(bench: Bench, card: Path):
    tomograms(bench.folder)
    for options, words in (
        ({"width": 0}, "greater than 0"),
        ({"widht": 1}, "did you mean 'width'"),
        ({"extra": "--width 3"}, "give --width"),
        ({"extra": "3"}, "comes before any flag"),
        ({"extra": "--what 3 --iterations two"}, "no --what"),
        ({"extra": "--iterations two"}, "wants numbers"),
        ({"extra": "'unclosed"}, "No closing quotation"),
        ({"gres": "gpu:2"}, "uses 1 GPU"),
    ):
        with pytest.raises(UsageError, match=re.escape(words)):
            prepare("smoothie.toml", ["t1.mrc"], "job", options)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('executable = "smoothie"', "", "lacks 'executable'"),
        ('takes = "tomogram"', 'takes = "tomagram"', "one of movie"),
        ("{width}", "{widht}", "{widht} is neither an option nor one of"),
        ('to = "smoothed/{name}.mrc"', 'to = "../{name}.mrc"', "not inside the job"),
        ("summary =", "sumary =", "did you mean 'summary'"),
        ("[operation.smoothie]", "[operation.Smoothie]", "small letters"),
        ("[program]", "[program", "not TOML"),
    ],
)
def test_a_wrong_card_is_one_clear_line(bench: Bench, card: Path, old: str, new: str, words: str):
    text = card.read_text()
    assert old in text or old == "{width}"
    card.write_text(text.replace(old, new) if old in text else text.replace('"{options}"', f'"{new}", "{{options}}"'))
    with pytest.raises(UsageError, match=re.escape(words)) as told:
        read_cards(card)
    assert "smoothie.toml: " in str(told.value)
    assert "\n" not in str(told.value)


def test_one_of_several_operations_is_named_after_a_hash(bench: Bench, card: Path):
    text = card.read_text()
    second = text[text.index("[operation.smoothie]") :].replace("operation.smoothie", "operation.rough")
    card.write_text(text + second)
    with pytest.raises(UsageError, match="several operations"):
        get_operation(str(card))
    assert get_operation(f"{card}#rough").name.endswith("smoothie.toml#rough")
    with pytest.raises(UsageError, match="no operation 'x'"):
        get_operation(f"{card}#x")


# ---- how it is started


def test_a_missing_program_says_what_to_do(bench: Bench, card: Path):
    (bench.folder / "bin/smoothie").unlink()
    outcome = run(bench, "smoothie.toml", device="cpu")
    assert outcome.exit_code == 1
    message = read_status(Job.open(bench.folder / "job")).table()[0]["message"]
    assert "no 'smoothie' on PATH" in message
    assert "pypcore-programs.toml" in message


def test_modules_containers_and_prefixes_get_words_and_never_a_shell_string(bench: Bench, card: Path):
    start = Start(setup=("X=1",), container=("apptainer", "exec", "--bind", "{folders}", "a.sif"), prefix=("env", "-i"))
    words = ["smoothie", "$(touch x); `y`", "a b"]
    command = start.command(words, [Path("/data"), Path("/job"), Path("/data")])
    assert command[:2] == ["bash", "-lc"]
    assert command[2] == 'set -e\nX=1\nexec "$@"'
    assert command[4:] == ["apptainer", "exec", "--bind", "/data,/job", "a.sif", "env", "-i", *words]


def test_shell_lines_run_before_the_program(bench: Bench, card: Path):
    (bench.folder / "pypcore-programs.toml").write_text(
        '[smoothie]\nsetup = ["export FROM_SETUP=yes", \'PATH="$PATH:/nowhere"\']\n'
        f'path = "{bench.folder}/bin"\nenvironment = {{ COLOUR = "red blue" }}\n'
    )
    program = bench.folder / "bin" / "smoothie"
    program.write_text(PROGRAM + 'echo "$FROM_SETUP $COLOUR" > "$HOME/seen"\n')
    assert run(bench, "smoothie.toml", device="cpu").exit_code == 0
    assert (bench.folder / "seen").read_text() == "yes red blue\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[smoothie]\npaht = 'x'\n", "did you mean 'path'"),
        ("[smoothie]\nprefix = 'conda run'\n", "list of words"),
        ("smoothie = 3\n", "not a table"),
        ("[smoothie\n", "pypcore-programs.toml: "),
    ],
)
def test_a_wrong_file_of_starts_is_told(bench: Bench, text: str, words: str):
    bench.monkeypatch.delenv("PYPCORE_PROGRAMS")
    (bench.folder / "pypcore-programs.toml").write_text(text)
    with pytest.raises(SetupError, match=re.escape(words)):
        find_start("smoothie", bench.folder)


# ---- its end


def left(bench: Bench) -> list[str]:
    """List the processes that a job in this folder has left behind."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if str(bench.folder) in (process.info["cwd"] or "") and process.pid != os.getpid():
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def test_what_hangs_is_ended_with_all_that_it_started(bench: Bench, card: Path):
    bench.monkeypatch.setenv("SMOOTHIE_SLEEP", "1")
    outcome = run(bench, "smoothie.toml", device="cpu", item_timeout=2, total_threads=1)
    assert outcome.exit_code == 1
    assert outcome.counts["timeout"] == 2
    assert left(bench) == []


def test_a_killed_worker_takes_its_program_along(bench: Bench, card: Path):
    bench.monkeypatch.setenv("SMOOTHIE_SLEEP", "1")
    tomograms(bench.folder)
    started = subprocess.Popen(
        [sys.executable, "-P", "-m", "pypcore.cli.main", "run", "smoothie.toml", "t1.mrc", "-o", "job", "--device=cpu"],
        cwd=bench.folder, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until = time.monotonic() + 60
    while not any(line.startswith("sleep") for line in left(bench)):
        assert time.monotonic() < until
        time.sleep(0.1)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    while left(bench):
        assert time.monotonic() < until, left(bench)
        time.sleep(0.1)
