"""The whole way: movies of which some are bad become micrographs; whatever dies meanwhile, nothing is lost.

``PYPCORE_SPINE_SIZE=1024,16`` makes the movies as large as real small ones (``make test-long``).
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import pypcore
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.simulate.detector import typical_detector
from pypcore.simulate.movie import typical_movie
from pypcore.simulate.write import write_mrc_movie, write_tiff_movie

SIDE, FRAMES = (int(word) for word in os.environ.get("PYPCORE_SPINE_SIZE", "256,8").split(","))
SHAPE = (SIDE, SIDE)
DOSE, PIXEL_SIZE = 2.5, 1.0
OPTIONS: dict[str, Any] = {"pixel_size": PIXEL_SIZE, "dose": DOSE, "voltage": 300, "gain": "gain.mrc"}
FLAGS = ["--pixel-size=1.0", f"--dose={DOSE}", "--voltage=300", "--gain=gain.mrc"]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five good movies and the gain of their camera."""
    folder = tmp_path_factory.mktemp("movies")
    camera = typical_detector(SHAPE, seed=1)
    write_mrc(folder / "gain.mrc", camera.gain, PIXEL_SIZE)
    for seed in range(1, 6):
        movie = typical_movie(SHAPE, FRAMES, seed=seed, pixel_size=PIXEL_SIZE, dose=DOSE, detector=camera)
        write_tiff_movie(folder / f"good_{seed}.tif", movie.stream(2))
    return folder


@pytest.fixture
def data(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder that holds the good movies and the gain."""
    shutil.copytree(good, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def add_bad_movies(folder: Path) -> dict[str, str]:
    """Add five bad movies; return what must be said of each."""
    whole = (folder / "good_1.tif").read_bytes()
    (folder / "bad_cut_early.tif").write_bytes(whole[: len(whole) // 20])
    (folder / "bad_cut_late.tif").write_bytes(whole[:-2000])
    (folder / "bad_empty.tif").write_bytes(b"")
    frames = np.random.default_rng(1).poisson(2.5, (FRAMES, *SHAPE)).astype(np.float32)
    write_tiff_movie(folder / "bad_size.tif", frames[:, :-16].astype(np.uint8))
    frames[FRAMES // 2, 10, 10] = np.nan
    write_mrc_movie(folder / "bad_nan.mrc", frames, frames.shape, pixel_size=PIXEL_SIZE, mode=2)
    return {
        "bad_cut_early": "cut off",
        "bad_cut_late": "cut off",
        "bad_empty": "empty",
        "bad_nan": "NaN",
        "bad_size": "gain",
    }


def products(job: Path) -> dict[str, bytes]:
    files = [*job.glob("micrographs/*"), job / "micrographs.star", job / "micrographs.csv"]
    root = str(job.parent).encode()  # motion STAR files name the gain in full
    return {path.name: path.read_bytes().replace(root, b"ROOT") for path in files}


def test_bad_movies_fail_alone_with_one_clear_line_each(data: Path) -> None:
    said = add_bad_movies(data)
    run = [sys.executable, "-P", "-m", "pypcore.cli.main", "run", "motioncorr", "*.tif", "*.mrc", "-o", "job", *FLAGS]
    (data / "gain").mkdir()
    (data / "gain.mrc").rename(data / "gain/gain.mrc")
    run[-1] = "--gain=gain/gain.mrc"
    first = subprocess.run(run, capture_output=True, text=True)
    assert first.returncode == 1, first.stderr
    lines = [line for line in first.stderr.splitlines() if line.startswith("failed ")]
    assert len(lines) == 5
    for name, word in said.items():
        (line,) = [line for line in lines if line.startswith(f"failed {name}: ")]
        assert word.lower() in line.lower(), line
    job = pypcore.open_job("job")
    assert (job.counts["done"], job.counts["failed"]) == (5, 5)
    assert {path.stem for path in Path("job/micrographs").glob("*.mrc")} == {f"good_{n}" for n in range(1, 6)}

    before = products(data / "job")
    again = subprocess.run(run, capture_output=True, text=True)
    assert again.returncode == 1
    assert "Nothing to do: 5 done, 5 failed" in again.stdout
    assert products(data / "job") == before

    shutil.copy(data / "good_2.tif", data / "bad_empty.tif")
    resumed = subprocess.run([*run[:4], "resume", "job"], capture_output=True, text=True)
    assert "Split: 1 of 10 items" in resumed.stderr
    assert pypcore.open_job("job").counts["done"] == 6
    assert (data / "job/micrographs/bad_empty.mrc").read_bytes() == before["good_2.mrc"]


def test_the_job_gives_the_same_bytes_again_and_with_two_threads_the_same_numbers(data: Path) -> None:
    pypcore.run("motioncorr", "good_*.tif", "one", **OPTIONS)
    pypcore.run("motioncorr", "good_*.tif", "two", **OPTIONS, bundle_size=3, total_threads=1)
    one, two = products(data / "one"), products(data / "two")
    assert one.keys() == two.keys()
    same = {name for name in one if one[name] == two[name]}
    assert one.keys() - same <= {"micrographs.star"}  # which holds the name of the job's folder
    if len(os.sched_getaffinity(0)) > 1:
        pypcore.run("motioncorr", "good_*.tif", "threads", **OPTIONS, threads=2)
        for name in ("good_1.mrc", "good_5.mrc"):
            left, right = read_mrc(data / "one/micrographs" / name)[0], read_mrc(data / "threads/micrographs" / name)[0]
            np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-5)


def workers(job: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if "pypcore.worker" in process.cmdline() and str(job) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.fixture(scope="module")
def calm(good: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """The products of a job that nobody disturbs, and how long it takes."""
    folder = tmp_path_factory.mktemp("calm")
    shutil.copytree(good, folder, dirs_exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        start = time.monotonic()
        pypcore.run("motioncorr", "good_*.tif", "job", **OPTIONS)
        return products(folder / "job"), time.monotonic() - start
    finally:
        os.chdir(before)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["worker", "command line", "Ctrl-C", "Ctrl-C twice"])
def test_whatever_dies_the_resumed_job_gives_the_same_bytes(
    kind: str, data: Path, calm: tuple[dict[str, bytes], float]
) -> None:
    whole, span = calm
    moments = int(os.environ.get("PYPCORE_MOMENTS", "1"))
    rng = random.Random(kind)
    for moment in sorted(rng.uniform(0.3, span) for _ in range(moments)):
        shutil.rmtree("job", ignore_errors=True)
        run = [sys.executable, "-P", "-m", "pypcore.cli.main", "run", "motioncorr", "good_*.tif", "-o", "job", *FLAGS]
        cli = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        time.sleep(moment)
        _disturb(kind, cli, data / "job")
        cli.communicate(timeout=120)
        while workers(data / "job"):
            time.sleep(0.05)
        if _begun():
            for row in pypcore.open_job("job").table():
                if row["outcome"] == "done":
                    assert Path(row["products"]["micrograph"]).read_bytes() == whole[f"{row['name']}.mrc"]
            pypcore.resume("job")
        else:
            pypcore.run("motioncorr", "good_*.tif", "job", **OPTIONS)
        after = products(data / "job")
        assert after == whole, f"{kind} after {moment:.2f} s"


def _begun() -> bool:
    return Path("job/job.toml").is_file()


def _disturb(kind: str, cli: Any, job: Path) -> None:
    if kind == "worker":
        for worker in workers(job)[:1]:
            worker.kill()
    elif kind == "command line":
        cli.kill()
    else:
        cli.send_signal(signal.SIGINT)
        if kind == "Ctrl-C twice":
            time.sleep(0.02)
            cli.send_signal(signal.SIGINT)
