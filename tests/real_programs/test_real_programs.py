"""The programs themselves, on a CPU and at small size: ``make test-programs`` installs them and runs this.

PYPCORE_REAL is the folder with their environments. Those that no package index has are run where a variable names them
(MILOPYP, SPR_PICK, TOMODRGN, ISONET2: an executable), and skipped by name otherwise.
"""

import gzip
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pypcore.formats.coordinates import Picks, read_picks, write_picks
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.formats.star import read_star
from pypcore.job import Job
from pypcore.local import Outcome, run_here
from pypcore.options import prepare
from pypcore.status import read_status

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]
REAL = Path(os.environ.get("PYPCORE_REAL", "build/programs")).absolute()
MICROGRAPH = Path(__file__).parents[2] / "pypcore" / "data" / "micrograph.mrc.gz"
OTHERS = {"MILOPYP": "milopyp", "SPR_PICK": "spr-pick", "TOMODRGN": "tomodrgn", "ISONET2": "isonet2"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the real programs are found."""
    text = f'[topaz]\npath = "{REAL}/topaz/bin/topaz"\n'
    text += f'[membrain-seg]\npath = "{REAL}/membrain/bin/membrain"\n[cryocare]\npath = "{REAL}/cryocare/bin"\n'
    for variable, program in OTHERS.items():
        if os.environ.get(variable):
            text += f'[{program}]\npath = "{os.environ[variable]}"\n'
    (tmp_path / "pypcore-programs.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def need(program: str) -> None:
    """Skip where a program is not installed."""
    if not (REAL / program / "finished").exists():
        pytest.skip(f"{program} is not in {REAL}: make test-programs installs it where it can")


def run(operation: str, inputs: list[str], job: str, **options: Any) -> Outcome:
    options = {"threads": 2, "memory": 4} | options
    outcome = run_here(Job(Path(job).absolute()), prepare(operation, inputs, job, options).request)
    rows = read_status(Job.open(Path(job))).table()
    assert outcome.exit_code == 0, (rows, outcome.merge)
    said = [f"{row.get('program_version', '')} {row['cpu_s']} s" for row in rows]
    print(f"\n{operation}: CPU {', '.join(said)}; Merge {outcome.merge['cpu_s'] if outcome.merge else 0} s")
    return outcome


def tomogram(path: Path, seed: int) -> str:
    """Write a small tomogram: a bright block in noise."""
    values = np.random.default_rng(seed).normal(size=(48, 64, 64)).astype(np.float32)
    values[20:30, 20:40, 20:40] += 2
    write_mrc(path, values, 10.0, volume=True)
    return path.name


def micrograph(path: Path) -> str:
    """Write the package's real micrograph."""
    path.write_bytes(gzip.decompress(MICROGRAPH.read_bytes()))
    return path.name


def test_topaz_denoises_a_tomogram_by_its_own_network(folder: Path):
    need("topaz")
    run("topaz-denoise3d", [tomogram(folder / "t.mrc", 1)], "job", device="cpu", patch_size=32, patch_padding=8)
    before, after = read_mrc(folder / "t.mrc")[0], read_mrc(folder / "job/tomograms/t.mrc")[0]
    assert after.shape == before.shape
    assert after[:12].std() < before[:12].std()  # where there is noise alone


def test_topaz_denoises_a_real_micrograph(folder: Path):
    need("topaz")
    run("topaz-denoise", [micrograph(folder / "m.mrc")], "job", device="cpu", network="unet-small", patch_size=256,
        patch_padding=64)  # fmt: skip
    assert read_mrc(folder / "job/micrographs/m.mrc")[0].std() < read_mrc(folder / "m.mrc")[0].std()


def test_topaz_picks_in_a_real_micrograph_and_its_particles_are_extracted(folder: Path):
    need("topaz")
    micrograph(folder / "m.mrc")
    run("topaz-pick", ["m.mrc"], "picks", device="cpu", radius=80, threshold=-6, network="resnet8_u32")
    picks = read_picks(folder / "picks/coordinates/m.star")
    height, width = read_mrc(folder / "m.mrc")[0].shape
    assert len(picks.points)
    assert (picks.points >= 0).all()
    assert (picks.points <= [width, height]).all()
    assert (np.diff(picks.scores) <= 0).all()
    assert (folder / "picks/coordinates/m_picks.png").stat().st_size > 10_000
    run("extract", ["m.mrc"], "particles", coordinates="picks/coordinates.star", box=256, scale=64, pixel_size=0.85378)
    rows = read_star(folder / "particles/particles.star")["particles"].columns
    assert len(rows["rlnImageName"]) == read_status(Job.open(folder / "particles")).table()[0]["particles"] > 0


def test_topaz_is_trained_on_picks_and_picks_by_what_it_learnt(folder: Path):
    need("topaz")
    y, x = np.mgrid[:512, :512]
    centres = np.array([[x0, y0] for x0 in range(64, 512, 96) for y0 in range(64, 512, 96)], float)
    for name in ("a", "b"):
        image = np.random.default_rng(ord(name)).normal(size=y.shape)
        for x0, y0 in centres:
            image -= 3 * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 200)
        write_mrc(folder / f"{name}.mrc", image.astype(np.float32), 2.0)
        (folder / "known").mkdir(exist_ok=True)
        write_picks(folder / f"known/{name}.star", Picks(centres, np.zeros(0)))
    run("topaz-train", ["a.mrc", "b.mrc"], "train", device="cpu", coordinates="known", radius=16, downsample=4,
        expected=25, epochs=2, epoch_size=30, batch_size=32, merge_threads=2)  # fmt: skip
    run("topaz-pick", ["a.mrc"], "picks", device="cpu", radius=24, downsample=4, threshold=-6, model="train")
    found = read_picks(folder / "picks/coordinates/a.star").points[:25]
    near = [np.hypot(*(found - centre).T).min() < 12 for centre in centres]
    assert np.mean(near) > 0.7  # it found what it was shown, in pixels of the micrograph


def test_cryocare_is_trained_on_halves_and_membrain_segments_what_it_denoised(folder: Path):
    need("cryocare")
    need("membrain")
    halves = [tomogram(folder / f"t_half{number}.mrc", number) for number in (1, 2)]
    run("cryocare-train", halves[:1], "train", device="cpu", patch=16, cubes=40, normalization_cubes=4, epochs=1,
        steps_per_epoch=5, batch_size=4, depth=2, features=4, merge_threads=2)  # fmt: skip
    run("cryocare", halves[:1], "denoised", device="cpu", model="train")
    assert read_mrc(folder / "denoised/tomograms/t.mrc")[0].shape == (48, 64, 64)
    weights = folder / "random.ckpt"
    script = Path(__file__).with_name("random_checkpoint.py")
    subprocess.run([REAL / "membrain/bin/python", script, weights], check=True, capture_output=True)
    run("membrain-seg", ["denoised/tomograms/t.mrc"], "membranes", device="cpu", weights=str(weights), window=64,
        augmentation=False, probabilities=True)  # fmt: skip
    labels, _ = read_mrc(folder / "membranes/segmentations/t.mrc")
    assert labels.shape == (48, 64, 64)
    assert set(np.unique(labels)) <= {0, 1}


def test_a_network_that_is_not_there_is_told_in_topazs_own_words(folder: Path):
    need("topaz")
    (folder / "broken.sav").write_bytes(b"no network")
    tomogram(folder / "t.mrc", 1)
    options = {"device": "cpu", "model": "broken.sav", "threads": 2}
    outcome = run_here(Job(folder / "job"), prepare("topaz-denoise3d", ["t.mrc"], "job", options).request)
    assert outcome.exit_code == 1
    assert "topaz exited with 1: " in read_status(Job.open(folder / "job")).table()[0]["message"]


@pytest.mark.parametrize("variable", OTHERS)
def test_a_program_that_the_user_names_says_its_version_or_runs(folder: Path, variable: str):
    if not os.environ.get(variable):
        pytest.skip(f"{OTHERS[variable]}: no package index has it; name its executable in {variable}")
    if variable == "ISONET2":
        run("isonet2-deconvolve", [tomogram(folder / "t.mrc", 1)], "job", pixel_size=10, defocus=20000)
        assert read_mrc(folder / "job/tomograms/t.mrc")[0].shape == (48, 64, 64)
        return
    from pypcore.programs.check import programs, stand

    assert stand(programs()[OTHERS[variable]], folder, fresh=True, limit=300).found
