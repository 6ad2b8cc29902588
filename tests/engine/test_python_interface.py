from pathlib import Path

import pytest

import pypcore
from pypcore.errors import UsageError


def test_three_lines_of_python_do_what_the_command_line_does(folder: Path) -> None:
    (folder / "in").mkdir()
    for n in range(3):
        (folder / "in" / f"m_{n}.dat").touch()
    job = pypcore.run("rehearse", "in/*.dat", "job", product=10, fail="m_2", threads=1)
    table, products = job.table(), job.products()
    assert [row["outcome"] for row in table] == ["done", "done", "failed"]
    assert Path(table[0]["products"]["file"]).is_file()
    assert products["list"].read_text() == "m_0\nm_1\n"
    assert pypcore.open_job("job").counts == job.counts
    assert pypcore.resume("job").counts == job.counts


def test_a_wrong_keyword_is_named_with_the_nearest(folder: Path) -> None:
    (folder / "m.dat").touch()
    with pytest.raises(UsageError, match="did you mean 'threads'"):
        pypcore.run("rehearse", "m.dat", "job", thread=2)
