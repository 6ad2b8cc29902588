"""Particles of STAR files: RELION's versions say the same, and what is wrong is one line."""

from pathlib import Path

import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.formats.mrc import write_mrc
from pypcore.formats.particles import half_bit, read_particles
from pypcore.formats.stacks import Stack
from pypcore.operations.particle_items import MOST, read_table

OLD = """
data_

loop_
_rlnMagnification #1
_rlnDetectorPixelSize #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnImageName #6
_rlnMicrographName #7
_rlnAngleRot #8
_rlnAngleTilt #9
_rlnAnglePsi #10
_rlnOriginX #11
_rlnOriginY #12
_rlnDefocusU #13
_rlnDefocusV #14
_rlnDefocusAngle #15
_rlnRandomSubset #16
 10000 2.5 300 2.7 0.1 000002@a.mrcs m1.mrc 10 20 30 2.0 -1.0 15000 14000 12 1
 10000 2.5 300 2.7 0.1 000001@b.mrcs m2.mrc 11 21 31 0.0  0.5 15100 14100 13 2
 10000 2.5 200 2.7 0.1 000007@a.mrcs m1.mrc 12 22 32 0.0  0.0 15200 14200 14 1
"""
NEW = """
# version 30001

data_optics

loop_
_rlnOpticsGroup #1
_rlnOpticsGroupName #2
_rlnVoltage #3
_rlnSphericalAberration #4
_rlnAmplitudeContrast #5
_rlnImagePixelSize #6
_rlnImageSize #7
_rlnImageDimensionality #8
_rlnBeamTiltX #9
_rlnOddZernike #10
_rlnMagMat01 #11
_rlnCtfDataAreCtfPremultiplied #12
 7 opticsGroup7 300 2.7 0.1 2.5 64 2 0.3 [0.1,-0.2,0.3] 0.01 0
 9 opticsGroup9 200 2.7 0.1 2.5 64 2 0.0 [] 0 1


# version 30001

data_particles

loop_
_rlnImageName #1
_rlnMicrographName #2
_rlnOpticsGroup #3
_rlnAngleRot #4
_rlnAngleTilt #5
_rlnAnglePsi #6
_rlnOriginXAngst #7
_rlnOriginYAngst #8
_rlnDefocusU #9
_rlnDefocusV #10
_rlnDefocusAngle #11
_rlnRandomSubset #12
000002@a.mrcs m1.mrc 7 10 20 30 5.0 -2.5 15000 14000 12 1
000001@b.mrcs m2.mrc 7 11 21 31 0.0 1.25 15100 14100 13 2
000007@a.mrcs m1.mrc 9 12 22 32 0.0 0.00 15200 14200 14 1
"""


def star(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "particles.star"
    path.write_text(text)
    return path


@pytest.mark.parametrize("text", [OLD, NEW], ids=["3.0", "3.1"])
def test_the_versions_say_the_same(text: str, tmp_path: Path) -> None:
    particles = read_particles(star(tmp_path, text))
    assert len(particles) == 3
    assert particles.angles.tolist() == [[10, 20, 30], [11, 21, 31], [12, 22, 32]]
    assert particles.origins.tolist() == [[5.0, -2.5], [0.0, 1.25], [0.0, 0.0]]  # Å
    assert particles.defocus is not None
    assert particles.defocus[1].tolist() == [15100, 14100, 13]
    assert [particles.optics[group].voltage for group in particles.group] == [300, 300, 200]
    assert {one.pixel_size for one in particles.optics} == {2.5}
    assert [particles.stacks[number] for number in particles.stack] == ["a.mrcs", "b.mrcs", "a.mrcs"]
    assert particles.image.tolist() == [1, 0, 6]
    assert particles.half.tolist() == [1, 2, 1]
    poses = particles.poses(np.array([0]))
    assert (float(poses.shift_x[0]), float(poses.shift_y[0])) == (5.0, -2.5)


def test_optics_groups_carry_aberrations(tmp_path: Path) -> None:
    first, second = read_particles(star(tmp_path, NEW)).optics
    assert first.beam_tilt == (0.3, 0.0)
    assert first.odd_zernike == (0.1, -0.2, 0.3)
    assert first.magnification == ((1.0, 0.01), (0.0, 1.0))
    assert (first.images, second.images) == ("raw", "premultiplied")


def test_particles_are_grouped_by_micrograph_and_large_groups_cut(tmp_path: Path) -> None:
    table = read_table(star(tmp_path, NEW), tmp_path, None)
    assert {name: rows.tolist() for name, rows in table.parts.items()} == {"m1.mrc": [0, 2], "m2.mrc": [1]}
    rows = "".join(f"{n:06d}@a.mrcs one.mrc 7 1 2 3 0 0 15000 14000 1 {1 + n % 2}\n" for n in range(1, MOST + 6))
    many = read_table(star(tmp_path, NEW + rows), tmp_path, None)
    assert [len(rows) for rows in many.parts.values()] == [2, 1, MOST, 5]
    assert list(many.parts)[2:] == ["one.mrc:1", "one.mrc:2"]


def test_a_table_without_halves_is_split_by_particle_for_ever_the_same(tmp_path: Path) -> None:
    text = NEW.replace("_rlnRandomSubset", "_rlnSomething")
    particles = read_particles(star(tmp_path, text))
    assert particles.half.tolist() == [1 + half_bit(f"{n:06d}@{s}.mrcs") for n, s in ((2, "a"), (1, "b"), (7, "a"))]
    assert "hash" in particles.halves_from
    assert [half_bit(f"{n:06d}@a.mrcs") for n in range(1, 9)] == [1, 0, 1, 0, 0, 1, 0, 0]  # never to change
    lines = text.splitlines(keepends=True)
    lines[-1], lines[-2] = lines[-2], lines[-1]  # another order
    assert read_particles(star(tmp_path, "".join(lines))).half.tolist() == particles.half[[0, 2, 1]].tolist()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("15000 14000", "nan 14000", r"rlnDefocusU is 'nan' in row 1 of data_particles; it must be a finite number"),
        ("000001@b", "000000@b", r"rlnImageName is '000000@b.mrcs' in row 2"),
        (" 9 12 22", " 8 12 22", r"particles are of optics group 8, which data_optics has not"),
        ("_rlnImageSize", "_rlnTomoVisibleFrames", None),
        (" 2.5 64 2 0.3", " 0 64 2 0.3", r"rlnImagePixelSize is 0; it must be greater than 0"),
        (" 2.5 64 2 0.3", " 2.5 64 3 0.3", r"3-D images"),
        ("13 2", "13 3", r"rlnRandomSubset is 3 in row 2; it must be 1 or 2"),
        ("_rlnRandomSubset", "_rlnHelicalTubeID", r"helical symmetry is not implemented"),
        ("_rlnRandomSubset", "_rlnTomoVisibleFrames", r"one row an image"),
        ("[0.1,-0.2,0.3]", "[0.1;2]", r"rlnOddZernike is '\[0.1;2\]', not a list of numbers"),
        ("rlnImageName", "rlnPictureName", r"no table has a column rlnImageName"),
    ],
)
def test_what_is_wrong_is_one_line(old: str, new: str, said: str | None, tmp_path: Path) -> None:
    assert old in NEW
    path = star(tmp_path, NEW.replace(old, new))
    if said is None:  # of no matter in data_optics
        assert len(read_particles(path)) == 3
        return
    with pytest.raises(InputError, match=said) as caught:
        read_particles(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_poses_alone_are_enough_where_no_images_are_read(tmp_path: Path) -> None:
    text = NEW.replace("_rlnImageName", "_rlnSomething").replace("_rlnMicrographName", "_rlnOther")
    particles = read_particles(star(tmp_path, text), images=False)
    assert particles.micrographs == ("particles",)
    assert len(particles) == 3


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "float32", "float16"])
def test_stacks_of_any_mode_are_read_by_slices(dtype: str, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 100, (7, 8, 8)).astype(dtype)
    write_mrc(tmp_path / "s.mrcs", images, 2.5, float16=dtype == "float16")
    out = np.empty((4, 8, 8), np.float32)
    with Stack.open(tmp_path / "s.mrcs") as stack:
        assert stack.shape == (7, 8, 8)
        stack.read([5, 6, 0, 2], out)
        assert np.array_equal(out, images[[5, 6, 0, 2]])
        with pytest.raises(InputError, match="image 8 is asked for; it has 7"):
            stack.read([7], out[:1])
