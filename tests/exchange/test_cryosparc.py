"""cryoSPARC's ``.cs``: conventions, there and back again, and what RELION makes of it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from pypcore.errors import InputError
from pypcore.exchange.from_cryosparc import cs_to_star
from pypcore.exchange.to_cryosparc import star_to_cs
from pypcore.formats.cryosparc import angles_of, as_text, poses_of, read_cs, write_cs
from pypcore.formats.mrc import write_mrc
from pypcore.formats.particles import read_particles
from pypcore.formats.star import read_star, write_star
from pypcore.geometry import rotation_matrices

COUNT = 6


def relion(root: Path, program: str, *arguments: str) -> str:
    run = subprocess.run([f"relion_{program}", *arguments], cwd=root, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """Particles of two optics groups on two micrographs, as RELION has them, with their images."""
    rng = np.random.default_rng(2)
    for name in "ab":
        write_mrc(tmp_path / f"{name}.mrc", rng.normal(size=(48, 64)).astype(np.float32), 1.5)
        write_mrc(tmp_path / f"{name}.mrcs", rng.normal(size=(3, 16, 16)).astype(np.float32), 1.5)
    optics = {
        "rlnOpticsGroupName": ["o1", "o2"], "rlnOpticsGroup": [1, 2], "rlnVoltage": [300.0, 200.0],
        "rlnSphericalAberration": [2.7, 2.0], "rlnAmplitudeContrast": [0.1, 0.07], "rlnImagePixelSize": [1.5, 1.5],
        "rlnImageSize": [16, 16], "rlnImageDimensionality": [2, 2],
        "rlnBeamTiltX": [0.2, -0.1], "rlnBeamTiltY": [0.0, 0.3],
    }  # fmt: skip
    particles = {
        "rlnImageName": [f"{n:06d}@{m}.mrcs" for m in "ab" for n in (1, 2, 3)],
        "rlnMicrographName": ["a.mrc"] * 3 + ["b.mrc"] * 3,
        "rlnOpticsGroup": [1, 1, 1, 2, 2, 2],
        "rlnCoordinateX": rng.uniform(8, 56, COUNT).round(3).tolist(),
        "rlnCoordinateY": rng.uniform(8, 40, COUNT).round(3).tolist(),
        "rlnAngleRot": rng.uniform(-180, 180, COUNT).tolist(),
        "rlnAngleTilt": rng.uniform(5, 175, COUNT).tolist(),
        "rlnAnglePsi": rng.uniform(-180, 180, COUNT).tolist(),
        "rlnOriginXAngst": rng.normal(0, 3, COUNT).tolist(),
        "rlnOriginYAngst": rng.normal(0, 3, COUNT).tolist(),
        "rlnDefocusU": rng.uniform(10000, 12000, COUNT).tolist(),
        "rlnDefocusV": rng.uniform(9000, 10000, COUNT).tolist(),
        "rlnDefocusAngle": rng.uniform(-90, 90, COUNT).tolist(),
        "rlnPhaseShift": rng.uniform(0, 90, COUNT).tolist(),
        "rlnRandomSubset": [1, 2, 1, 2, 1, 2],
    }
    write_star(tmp_path / "particles.star", {"optics": optics, "particles": particles})
    return tmp_path / "particles.star"


def test_a_pose_is_the_rotation_vector_of_the_transpose() -> None:
    # An image turned by rot 30 alone has a rotation by +30 degrees about z, as cryoDRGN and pyem take it.
    np.testing.assert_allclose(poses_of(np.array([[30.0, 0, 0]])), [[0, 0, np.deg2rad(30)]], atol=1e-6)
    angles = np.random.default_rng(0).uniform((-180, 5, -180), (180, 175, 180), (50, 3))
    poses = poses_of(angles)
    np.testing.assert_allclose(
        Rotation.from_rotvec(poses).as_matrix(), np.swapaxes(rotation_matrices(*angles.T), -1, -2), atol=1e-6
    )
    np.testing.assert_allclose(rotation_matrices(*angles_of(poses).T), rotation_matrices(*angles.T), atol=1e-6)


def test_particles_go_there_and_back(star: Path, tmp_path: Path) -> None:
    made = star_to_cs(star, tmp_path / "out", tmp_path)
    fields = read_cs(tmp_path / "out/particles.cs")
    assert fields["blob/idx"].tolist() == [0, 1, 2, 0, 1, 2]
    assert fields["location/micrograph_shape"].tolist() == [[48, 64]] * COUNT
    assert fields["alignments3D/split"].tolist() == [0, 1, 0, 1, 0, 1]
    assert not made.not_mapped
    back = cs_to_star(tmp_path / "out/particles.cs", [], tmp_path / "back", tmp_path)
    assert back.written == [tmp_path / "back/particles.star"]
    before, after = (read_star(path) for path in (star, tmp_path / "back/particles.star"))
    for block in ("optics", "particles"):
        for name, values in before[block].columns.items():
            found = after[block].columns[name]
            if name == "rlnOpticsGroupName":
                continue
            if name.endswith("Name"):
                assert found == values
            else:
                np.testing.assert_allclose(np.array(found, float), np.array(values, float), rtol=2e-5, atol=2e-4)
    assert len(read_particles(tmp_path / "back/particles.star")) == COUNT


@pytest.mark.relion
def test_relion_opens_what_was_taken_over(star: Path, tmp_path: Path) -> None:
    star_to_cs(star, tmp_path, tmp_path)
    cs_to_star(tmp_path / "particles.cs", [], tmp_path / "in", tmp_path)
    told = relion(tmp_path, "star_printtable", "in/particles.star", "data_particles", "_rlnImageName", "_rlnAngleRot")
    assert len(told.split()) == 2 * COUNT
    assert told.split()[0] == "000001@a.mrcs"
    relion(tmp_path, "stack_create", "--i", "in/particles.star", "--o", "out")
    assert (tmp_path / "out.mrcs").stat().st_size == 1024 + COUNT * 16 * 16 * 4


def test_a_passthrough_is_matched_by_uid_and_odd_paths_are_read(tmp_path: Path) -> None:
    uid = np.array([7, 5, 6], "<u8")
    one = {"uid": uid, "alignments3D/pose": np.zeros((3, 3), "<f4"), "alignments3D/shift": np.ones((3, 2), "<f4"),
           "alignments3D/psize_A": np.full(3, 2.0, "<f4")}  # fmt: skip
    other = {"uid": uid[::-1], "blob/path": as_text([">J1/extract/x.mrc"] * 3), "blob/idx": np.array([2, 1, 0], "<u4"),
             "blob/shape": np.full((3, 2), 16, "<u4"), "blob/psize_A": np.full(3, 2.0, "<f4"),
             "ctf/trefoil_A": np.ones((3, 2), "<f4")}  # fmt: skip
    write_cs(tmp_path / "a.cs", one)
    write_cs(tmp_path / "a_passthrough.cs", other)
    with pytest.raises(InputError, match="give it with its passthrough"):
        cs_to_star(tmp_path / "a.cs", [], tmp_path / "out", tmp_path)
    (tmp_path / "J1/extract").mkdir(parents=True)
    write_mrc(tmp_path / "J1/extract/x.mrc", np.zeros((3, 16, 16), np.float32), 2.0)
    result = cs_to_star(tmp_path / "a.cs", [tmp_path / "a_passthrough.cs"], tmp_path / "out", tmp_path)
    columns = read_star(tmp_path / "out/a.star")["particles"].columns
    # RELION takes .mrc for one image: the stack got a link.
    assert columns["rlnImageName"] == [f"{n:06d}@out/stacks/x.mrcs" for n in (1, 2, 3)]
    assert (tmp_path / "out/stacks/x.mrcs").resolve() == tmp_path / "J1/extract/x.mrc"
    assert columns["rlnOriginXAngst"] == ["2"] * 3
    assert "ctf/trefoil_A" in result.not_mapped
    write_cs(tmp_path / "b.cs", {"uid": np.array([1, 2, 3], "<u8")})
    with pytest.raises(InputError, match=r"has no row 7 of a\.cs"):
        cs_to_star(tmp_path / "a.cs", [tmp_path / "b.cs"], tmp_path / "out", tmp_path)


def test_micrographs_go_there_and_back(tmp_path: Path) -> None:
    write_mrc(tmp_path / "a.mrc", np.zeros((48, 64), np.float32), 1.5)
    optics = {"rlnOpticsGroupName": ["o"], "rlnOpticsGroup": [1], "rlnVoltage": [300.0],
              "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.1],
              "rlnMicrographPixelSize": [1.5]}  # fmt: skip
    rows = {"rlnMicrographName": ["a.mrc"], "rlnOpticsGroup": [1], "rlnDefocusU": [12000.0], "rlnDefocusV": [11000.0],
            "rlnDefocusAngle": [33.0]}  # fmt: skip
    write_star(tmp_path / "micrographs.star", {"optics": optics, "micrographs": rows})
    star_to_cs(tmp_path / "micrographs.star", tmp_path / "out", tmp_path)
    assert read_cs(tmp_path / "out/micrographs.cs")["micrograph_blob/shape"].tolist() == [[48, 64]]
    cs_to_star(tmp_path / "out/micrographs.cs", [], tmp_path / "back", tmp_path)
    after = read_star(tmp_path / "back/micrographs.star")
    assert after["micrographs"].columns["rlnMicrographName"] == ["a.mrc"]
    assert float(after["micrographs"].columns["rlnDefocusAngle"][0]) == pytest.approx(33, abs=1e-4)
    assert after["optics"].columns["rlnMicrographPixelSize"] == ["1.5"]


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\x94CSDAT....", "streaming form"), (b"hello world", "not a .cs file"), (b"\x93NUMPY\x01", "damaged")],
)
def test_another_file_is_one_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.cs").write_bytes(content)
    with pytest.raises(InputError, match=said) as raised:
        read_cs(tmp_path / "a.cs")
    assert "\n" not in str(raised.value)


def test_rows_may_be_counted_from_the_other_end(star: Path, tmp_path: Path) -> None:
    star_to_cs(star, tmp_path / "one", tmp_path)
    star_to_cs(star, tmp_path / "two", tmp_path, flip_y=True)
    one, two = (read_cs(tmp_path / f"{name}/particles.cs")["location/center_y_frac"] for name in ("one", "two"))
    np.testing.assert_allclose(one + two, 1, atol=1e-6)
