"""The movies of ``pypcore demo``: a real micrograph under known motion."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from pypcore import demo
from pypcore.formats.mrc import read_mrc
from pypcore.formats.relion_motion import MotionStar, write_motion
from pypcore.simulate.movie import Truth


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return demo.make_demo_movie(tmp_path_factory.mktemp("demo"), seed=2, threads=2)


def test_the_shipped_micrograph_is_the_one_its_readme_describes():
    described = (Path(demo.__file__).parent / "data" / "README.md").read_text()
    assert hashlib.sha256(demo.MICROGRAPH.read_bytes()).hexdigest() in described
    assert demo.MICROGRAPH.stat().st_size < 2_000_000
    assert demo.read_micrograph().shape == (1024, 1024)


def test_movie_gain_and_truth_belong_together(made):
    with tifffile.TiffFile(made.movie) as tiff:
        assert len(tiff.pages) == demo.N_FRAMES
        assert tiff.pages[0].shape == made.truth.ideal.shape
        mean = tiff.asarray().mean(0)[::-1]  # TIFF rows run from the top down
    gain, pixel_size = read_mrc(made.gain)
    assert pixel_size == pytest.approx(made.truth.exposure.pixel_size)
    good = gain > 0
    assert (mean[~good] == 0).all()
    flat = np.corrcoef(mean[good], 1 / gain[good])[0, 1]
    upside_down = np.corrcoef(mean[good & good[::-1]], 1 / gain[::-1][good & good[::-1]])[0, 1]
    assert flat > upside_down + 0.1
    truth = Truth.load(made.movie.with_name("demo_2_truth.npz"))
    np.testing.assert_array_equal(truth.motion.whole, made.truth.motion.whole)


def test_the_same_seed_gives_the_same_files(made, tmp_path):
    again = demo.make_demo_movie(tmp_path, seed=2, threads=1)
    assert again.movie.read_bytes() == made.movie.read_bytes()
    assert again.gain.read_bytes() == made.gain.read_bytes()


def job_that_found(folder, made, displacement):
    """A job folder with nothing in it but a motion STAR."""
    height, width = made.truth.ideal.shape
    star = MotionStar(
        width=width, height=height, frames=demo.N_FRAMES, movie="m", pixel_size=0.85378, shifts=displacement
    )
    (folder / "micrographs").mkdir(parents=True)
    write_motion(folder / "micrographs" / f"{made.movie.stem}.star", star)
    return folder


def test_the_truth_offset_by_a_constant_compares_without_error(made, tmp_path):
    found = made.truth.motion.whole + np.array([1, -2])
    compared = demo.compare_with_truth(job_that_found(tmp_path, made, found), made)
    assert compared.rms_px == pytest.approx(0, abs=1e-4)
    assert compared.truth_rms_angstrom > 1
    assert len(compared.frames) == demo.N_FRAMES
    assert max(frame.error for frame in compared.frames) < 1e-3


def test_no_motion_compares_with_all_of_the_truth_as_error(made, tmp_path):
    still = np.zeros_like(made.truth.motion.whole)
    compared = demo.compare_with_truth(job_that_found(tmp_path, made, still), made)
    assert compared.rms_angstrom == pytest.approx(compared.truth_rms_angstrom)
