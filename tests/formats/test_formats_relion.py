"""RELION's reading of EER movies and its way of turning a gain, against ours."""

import subprocess

import mrcfile
import numpy as np
import pytest
import tifffile

from pypcore.formats.gain import load_gain
from pypcore.formats.movies import open_movie
from pypcore.formats.star import write_star

pytestmark = pytest.mark.relion

SENSOR = (4096, 4096)  # RELION 3.1 reads no other EER


def relion(root, program, *arguments):
    run = subprocess.run([f"relion_{program}", *arguments], cwd=root, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run


@pytest.mark.parametrize(("compression", "sampling"), [(65000, 2), (65001, 1), (65001, 2)])
def test_relion_renders_the_same_eer_frames(tmp_path, write_eer, make_events, compression, sampling):
    write_eer(tmp_path / "m.eer", [make_events(SENSOR, 30_000, seed) for seed in range(5)], SENSOR, compression)
    options = ("--eer_grouping", "2", "--eer_upsampling", str(sampling), "--compression", "none")
    relion(tmp_path, "convert_to_tiff", "--i", "m.eer", "--o", "out/", *options)
    # Rows of a TIFF are reversed by RELION as by us: where its reading of both agrees, so does ours.
    (converted,) = (tmp_path / "out").rglob("m.tif")
    with open_movie(tmp_path / "m.eer", eer_group=2, eer_sampling=sampling) as ours, open_movie(converted) as theirs:
        assert ours.shape == theirs.shape  # the fifth raw frame is left over
        np.testing.assert_array_equal(ours.read(1), theirs.read(1))


@pytest.mark.parametrize("name", ["g.gain", "g.mrc"])
def test_relion_makes_the_same_of_the_gain_of_an_eer(tmp_path, write_eer, make_events, name):
    write_eer(tmp_path / "m.eer", [make_events(SENSOR, 100, seed) for seed in range(2)], SENSOR)
    gain = np.random.default_rng(0).uniform(0.5, 2, SENSOR).astype(np.float32)
    gain[7, 9] = 0
    if name == "g.mrc":
        mrcfile.write(tmp_path / name, gain)
    else:
        tifffile.imwrite(tmp_path / name, gain, photometric="minisblack")
    relion(tmp_path, "convert_to_tiff", "--i", "m.eer", "--o", "out/", "--eer_grouping", "1", "--gain", name)
    theirs = mrcfile.read(tmp_path / "out" / "gain-reference.mrc")
    ours = load_gain(tmp_path / name, SENSOR, eer=True)
    assert ours[7, 9] == theirs[7, 9] == 0
    np.testing.assert_allclose(ours / ours.mean(), theirs / theirs.mean(), rtol=1e-4)


@pytest.mark.parametrize(("rotate", "flip"), [(90, "none"), (270, "ud"), (180, "lr"), (90, "lr")])
def test_relion_turns_a_gain_the_same_way(tmp_path, rotate, flip):
    rng = np.random.default_rng(0)
    gain = rng.uniform(0.5, 2, (64, 96)).astype(np.float32)
    shape = gain.shape if rotate % 180 == 0 else gain.shape[::-1]
    mrcfile.write(tmp_path / "g.mrc", gain)
    with mrcfile.new(tmp_path / "m.mrcs") as file:
        file.set_data(rng.poisson(3, (3, *shape)).astype(np.int16))
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnMicrographOriginalPixelSize": [1.0],
              "rlnVoltage": [300.0], "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1]}  # fmt: skip
    movies = {"rlnMicrographMovieName": ["m.mrcs"], "rlnOpticsGroup": [1]}
    write_star(tmp_path / "in.star", {"optics": optics, "movies": movies})
    options = ("--gain_rot", str(rotate // 90), "--gain_flip", str(["none", "ud", "lr"].index(flip)), "--use_own")
    relion(tmp_path, "run_motioncorr", "--i", "in.star", "--o", "out/", "--gainref", "g.mrc", *options)
    theirs = mrcfile.read(tmp_path / "out" / "gain.mrc")
    np.testing.assert_allclose(load_gain(tmp_path / "g.mrc", shape, rotate=rotate, flip=flip), theirs, rtol=1e-6)
