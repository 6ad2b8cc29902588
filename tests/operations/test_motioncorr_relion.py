"""RELION's own programs open what motion correction writes."""

import dataclasses
import re
import subprocess

import numpy as np
import pytest

from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.formats.relion_motion import read_motion, write_motion
from pypcore.formats.star import read_star, write_star
from pypcore.operation import Done
from pypcore.operations.motioncorr import MotionCorr

pytestmark = pytest.mark.relion

PIXEL, BOX, PARTICLES = 1.1, 64, 20


def relion(root, program, *arguments):
    return subprocess.run([f"relion_{program}", *arguments], cwd=root, capture_output=True, text=True, timeout=120)


@pytest.fixture
def job(large_counts, write_item, make_context):
    """Correct a movie; return its products, and the tables."""
    operation, context = MotionCorr(), make_context()
    asked = operation.Parameters(pixel_size=PIXEL, dose=1.5, voltage=300, save_ps=True)
    item = write_item(large_counts[0])
    result = operation.process(item, asked, context)
    made = operation.finish([Done(item, result.products, result.figures)], asked, context)
    return result.products | made.products


def test_relion_opens_the_micrograph(job, tmp_path):
    run = relion(tmp_path, "image_handler", "--i", "MotionCorr/job002/micrographs/m1.mrc", "--stats")
    assert run.returncode == 0
    image, _ = read_mrc(job["micrograph"])
    assert "(x,y,z,n)= 512 x 512 x 1 x 1" in run.stdout
    mean = float(re.search(r"avg= (\S+)", run.stdout)[1])
    assert mean == pytest.approx(image.mean(), rel=1e-4)
    assert "angpix = 1.1" in run.stdout


def test_relion_reads_and_rewrites_the_table(job, tmp_path):
    table = "MotionCorr/job002/micrographs.star"
    run = relion(tmp_path, "star_handler", "--i", table, "--o", "out.star", "--select", "rlnAccumMotionTotal")
    assert run.returncode == 0, run.stderr
    ours, theirs = read_star(job["star"]), read_star(tmp_path / "out.star")
    assert theirs["micrographs"].columns["rlnMicrographName"] == ours["micrographs"].columns["rlnMicrographName"]
    for block in ("optics", "micrographs"):
        assert list(theirs[block].columns) == list(ours[block].columns)


@pytest.fixture
def polish(job, tmp_path):
    """Return a function that runs RELION's Bayesian polishing on 20 made-up particles of the micrograph."""
    rng = np.random.default_rng(1)
    z, y, x = np.mgrid[:BOX, :BOX, :BOX] - BOX // 2
    centres = rng.normal(size=(12, 3)) * 9
    reference = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) / 8) for a, b, c in centres)
    for half in (1, 2):
        write_mrc(tmp_path / f"half{half}.mrc", reference + 0.01 * rng.normal(size=reference.shape), PIXEL, volume=True)
    shell = np.arange(BOX // 2 + 1)
    fsc = np.clip(1.2 - shell / 20, 0, 1).tolist()
    fsc_table = {
        "rlnSpectralIndex": shell.tolist(),
        "rlnResolution": (shell / (BOX * PIXEL)).tolist(),
        "rlnFourierShellCorrelationCorrected": fsc,
        "rlnFourierShellCorrelationUnmaskedMaps": fsc,
        "rlnFourierShellCorrelationMaskedMaps": fsc,
        "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": [0.0] * len(fsc),
    }
    write_star(tmp_path / "post.star", {"general": {"rlnFinalResolution": 4.0}, "fsc": fsc_table})
    optics = {
        "rlnOpticsGroupName": ["opticsGroup1"],
        "rlnOpticsGroup": [1],
        "rlnMicrographOriginalPixelSize": [PIXEL],
        "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7],
        "rlnAmplitudeContrast": [0.1],
        "rlnImagePixelSize": [PIXEL],
        "rlnImageSize": [BOX],
        "rlnImageDimensionality": [2],
    }
    same = {"rlnDefocusU": 15000.0, "rlnDefocusV": 14800.0, "rlnDefocusAngle": 30.0, "rlnOriginXAngst": 0.0,
            "rlnOriginYAngst": 0.0, "rlnOpticsGroup": 1,
            "rlnMicrographName": "MotionCorr/job002/micrographs/m1.mrc"}  # fmt: skip
    particles = {
        "rlnCoordinateX": rng.integers(60, 450, PARTICLES).tolist(),
        "rlnCoordinateY": rng.integers(60, 450, PARTICLES).tolist(),
        "rlnImageName": [f"{number + 1:06d}@Extract/job003/m1.mrcs" for number in range(PARTICLES)],
        "rlnAngleRot": rng.uniform(0, 360, PARTICLES).tolist(),
        "rlnAngleTilt": rng.uniform(0, 180, PARTICLES).tolist(),
        "rlnAnglePsi": rng.uniform(0, 360, PARTICLES).tolist(),
        "rlnRandomSubset": [1 + number % 2 for number in range(PARTICLES)],
        **{name: [value] * PARTICLES for name, value in same.items()},
    }
    write_star(tmp_path / "particles.star", {"optics": optics, "particles": particles})

    def run(output):
        return relion(
            tmp_path, "motion_refine", "--i", "particles.star", "--f", "post.star", "--corr_mic",
            "MotionCorr/job002/micrographs.star", "--m1", "half1.mrc", "--m2", "half2.mrc", "--first_frame", "1",
            "--last_frame", "-1", "--o", f"{output}/", "--j", "1",
        )  # fmt: skip

    return run


def mean_track(root, output):
    """Return the mean displacement of the particles from the first frame to the last, (y, x) in Å."""
    (path,) = (root / output).rglob("*_tracks.star")
    blocks = read_star(path)
    tracks = [blocks[str(number)].columns for number in range(PARTICLES)]
    names = ("rlnOriginYAngst", "rlnOriginXAngst")
    return np.array([[float(track[name][-1]) - float(track[name][0]) for name in names] for track in tracks]).mean(0)


def test_polishing_reads_the_motion_and_goes_on_from_it(polish, job, tmp_path, large_counts):
    run = polish("right")
    assert run.returncode == 0, run.stderr
    assert "movie pixel size from MotionCorr/job002/micrographs/m1.star: 1.1 A" in run.stdout
    assert "dose per frame from MotionCorr/job002/micrographs/m1.star: 1.5 e/A^2" in run.stdout
    true = large_counts[1][-1] * PIXEL
    right = mean_track(tmp_path, "right")
    assert np.hypot(*(right - true)) < 2

    # The same motion with the other sign leads it astray: it is this file that polishing starts from.
    motion = read_motion(job["motion"])
    write_motion(job["motion"], dataclasses.replace(motion, shifts=-motion.shifts, local=None))
    assert polish("wrong").returncode == 0
    assert np.hypot(*(mean_track(tmp_path, "wrong") - true)) > 4


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda text: text.replace("_rlnMotionModelCoeff\n", "_rlnOther\n"), "missing index or coefficients"),
        (lambda text: text[: text.index("\n30 ")], "incomplete values"),
        (lambda text: text.replace("data_general", "data_x"), "insufficient general information"),
    ],
)
def test_polishing_refuses_a_damaged_motion(polish, job, damage, complaint):
    # This movie moves as one: the local model is added, so that it can be damaged.
    write_motion(job["motion"], dataclasses.replace(read_motion(job["motion"]), local=np.full(36, 0.01)))
    text = job["motion"].read_text()
    assert damage(text) != text
    job["motion"].write_text(damage(text))
    run = polish("damaged")
    assert run.returncode != 0
    assert complaint in run.stderr
