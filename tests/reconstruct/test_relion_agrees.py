"""Beside RELION: the same files give the same map, for each thing that its optics groups carry."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

import pypcore
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.reconstruct.finish import Finish
from pypcore.reconstruct.particles import Optics
from pypcore.reconstruct.symmetry import point_group
from pypcore.simulate.particles import Microscope, write_particles

PIXEL = 256 / 48  # as in conftest
COUNT = 200

pytestmark = pytest.mark.relion


def relion(*command: str, folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def by_relion(folder: Path, *options: str) -> np.ndarray:
    options = ("--pad", "1", "--skip_gridding", *options)
    relion("relion_reconstruct", "--i", "particles.star", "--o", "map.mrc", "--ctf", *options, folder=folder)
    return read_mrc(folder / "map.mrc")[0]


@pytest.mark.parametrize(
    ("optics", "columns"),
    [
        ({}, {}),
        ({"beam_tilt": (6.0, -9.0)}, {"rlnBeamTiltX": 6.0, "rlnBeamTiltY": -9.0}),
        ({"odd_zernike": (0.0, 0.0, 700.0, 90.0, -60.0, 500.0)}, {"rlnOddZernike": "[0,0,700,90,-60,500]"}),
        ({"even_zernike": (0.3, 60.0, -80.0, 150.0)}, {"rlnEvenZernike": "[0.3,60,-80,150]"}),
        (
            {"magnification": ((1.02, 0.015), (-0.02, 0.97))},
            {"rlnMagMat00": 1.02, "rlnMagMat01": 0.015, "rlnMagMat10": -0.02, "rlnMagMat11": 0.97},
        ),
        ({"images": "premultiplied"}, {"rlnCtfDataAreCtfPremultiplied": 1}),
    ],
    ids=["plain", "beam tilt", "odd", "even", "magnification", "premultiplied"],
)
def test_relion_makes_the_same_map(maps, case, tmp_path, optics, columns):
    images = case.images[:COUNT]
    from dataclasses import fields

    some = type(case.particles)(*(getattr(case.particles, f.name)[:COUNT] for f in fields(case.particles)))
    write_particles(tmp_path, [images[:77], images[77:]], some, PIXEL, Microscope(), optics=columns)
    theirs = by_relion(tmp_path)
    ours = pypcore.backproject(
        images, case.poses[:COUNT], case.ctf[:COUNT], pixel_size=PIXEL, optics=Optics(PIXEL, **optics),
        finish=Finish(centred=False),
    )  # fmt: skip
    # RELION cuts off at another corner of the last pixels.
    assert maps.shells(ours, theirs)[1:-3].min() > 0.999
    if columns and optics.get("images") is None:  # RELION did take it into account
        plain = pypcore.backproject(
            images, case.poses[:COUNT], case.ctf[:COUNT], pixel_size=PIXEL, finish=Finish(centred=False)
        )
        assert maps.shells(plain, theirs)[1:].min() < 0.99


@pytest.mark.parametrize("symmetry", ["C4", "D7", "T", "O", "I", "I1", "I3", "I4"])
def test_relion_symmetrises_to_the_same_map(maps, case, tmp_path, symmetry):
    from dataclasses import fields

    images = case.images[:COUNT]
    some = type(case.particles)(*(getattr(case.particles, f.name)[:COUNT] for f in fields(case.particles)))
    write_particles(tmp_path, [images], some, PIXEL, Microscope())
    theirs = by_relion(tmp_path, "--sym", symmetry)
    ours = pypcore.backproject(
        images, case.poses[:COUNT], case.ctf[:COUNT], pixel_size=PIXEL, finish=Finish(symmetry, centred=False)
    )
    assert maps.shells(ours, theirs)[1:].min() > 0.9995


@pytest.mark.parametrize("symmetry", ["C3", "D2", "T", "O", "I", "I1", "I2", "I3", "I4"])
def test_the_rotations_are_those_that_relion_prints(tmp_path, symmetry):
    said = relion("relion_refine", "--sym", symmetry, "--print_symmetry_ops", folder=tmp_path)
    numbers = re.findall(r"R\(\d+\)=\s*((?:\s*[-\d.e]+){9})", said)
    theirs = np.array([[float(v) for v in text.split()] for text in numbers]).reshape(-1, 3, 3)
    ours = point_group(symmetry)
    assert len(ours) == len(theirs) > 1
    for rotation in theirs:
        assert np.abs(ours - rotation).max((1, 2)).min() < 1e-4


def test_relion_projects_the_same_images(maps, case, tmp_path):
    write_mrc(tmp_path / "truth.mrc", case.truth, PIXEL, volume=True)
    some = case.poses[:5]
    columns = zip(some.rot, some.tilt, some.psi, some.shift_x, some.shift_y, strict=True)
    rows = "".join(" ".join(f"{v:.6f}" for v in row) + " 1\n" for row in columns)
    names = ["AngleRot", "AngleTilt", "AnglePsi", "OriginXAngst", "OriginYAngst", "OpticsGroup"]
    (tmp_path / "poses.star").write_text(
        "# version 30001\n\ndata_optics\n\nloop_\n_rlnOpticsGroup\n_rlnOpticsGroupName\n_rlnImagePixelSize\n"
        f"_rlnImageSize\n_rlnVoltage\n_rlnSphericalAberration\n_rlnAmplitudeContrast\n_rlnImageDimensionality\n"
        f"1 one {PIXEL} {maps.box} 300 2.7 0.1 2\n\n"
        "# version 30001\n\ndata_particles\n\nloop_\n" + "".join(f"_rln{name}\n" for name in names) + rows + "\n"
    )
    relion("relion_project", "--i", "truth.mrc", "--o", "out", "--ang", "poses.star", folder=tmp_path)
    theirs, _ = read_mrc(tmp_path / "out.mrcs")
    ours = pypcore.project(case.truth, some, pixel_size=PIXEL)
    assert np.corrcoef(theirs.ravel(), ours.ravel())[0, 1] > 0.995
