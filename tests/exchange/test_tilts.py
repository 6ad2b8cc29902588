"""Tilt series between RELION 5, IMOD, AreTomo and Warp: the same geometry, whoever wrote it."""

from pathlib import Path

import numpy as np
import pytest

from pypcore.errors import InputError, UsageError
from pypcore.exchange.convert import convert_tilts, export, import_files
from pypcore.exchange.tilts import read_series
from pypcore.formats.aretomo import read_aln, sections_from_zero
from pypcore.formats.ctffind import Defocus
from pypcore.formats.relion_tomo import write_tilt_series
from pypcore.formats.star import write_star
from pypcore.formats.tilt_angles import read_angles
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.formats.xf import read_xf
from pypcore.tilts.alignment import TiltAlignment

ANGLES = np.array([-6.0, -3.0, 0.0, 3.0, 6.0])
SIZE, PIXEL = (64, 48), 2.5


def project(root: Path, left_out: int | None = None) -> tuple[Path, TiltAlignment]:
    """Write a project of RELION's with one series; return its listing and the alignment in it."""
    shifts = np.random.default_rng(3).normal(0, 20, (5, 2))
    alignment = TiltAlignment.of_axis(ANGLES + 0.4, 85.3, shifts, SIZE[::-1], PIXEL)
    views = tuple(
        View(Path(f"mics/t_{n}.mrc"), None, float(angle), n, 3.0 * n, 3.0, Defocus(30000, 29000, 12), -3.0)
        for n, angle in enumerate(ANGLES)
    )
    series = TiltSeries(root / "s", views, PIXEL, 85.3, 300.0)
    if left_out is not None:
        alignment = alignment.leave_out([left_out])
    (root / "series").mkdir()
    write_tilt_series(root / "series/TS_1.star", "TS_1", series, alignment, [8] * 5, str)
    listing = {
        "rlnTomoName": ["TS_1"], "rlnTomoTiltSeriesStarFile": ["series/TS_1.star"], "rlnVoltage": [300.0],
        "rlnSphericalAberration": [2.7], "rlnAmplitudeContrast": [0.07], "rlnMicrographOriginalPixelSize": [PIXEL],
        "rlnTomoTiltSeriesPixelSize": [PIXEL], "rlnTomoHand": [-1],
    }  # fmt: skip
    write_star(root / "all.star", {"global": listing})
    return root / "all.star", alignment


def test_relion_to_imod_to_aretomo_and_back(tmp_path: Path) -> None:
    star, truth = project(tmp_path)
    made = import_files([star], tmp_path / "imod", root=tmp_path)
    assert [path.name for path in made.written] == ["TS_1.xf", "TS_1.tlt", "TS_1.rawtlt"]
    matrices, shifts = read_xf(tmp_path / "imod/TS_1.xf")
    np.testing.assert_allclose(matrices, truth.matrices, atol=1e-6)
    np.testing.assert_allclose(shifts, truth.shifts, atol=2e-3)
    np.testing.assert_allclose(read_angles(tmp_path / "imod/TS_1.tlt"), ANGLES + 0.4, atol=0.01)
    np.testing.assert_allclose(read_angles(tmp_path / "imod/TS_1.rawtlt"), ANGLES, atol=0.01)

    options = {"root": tmp_path, "size": SIZE, "pixel_size": PIXEL, "force": False}
    convert_tilts([tmp_path / "imod/TS_1.xf"], "aretomo", tmp_path / "aln", **options)
    convert_tilts([tmp_path / "aln/TS_1.aln"], "relion", tmp_path / "again", **options)
    (back,) = read_series(tmp_path / "again/tilt_series.star", tmp_path, SIZE, PIXEL)
    assert back.alignment is not None
    np.testing.assert_allclose(back.alignment.matrices, truth.matrices, atol=1e-5)
    np.testing.assert_allclose(back.alignment.shifts, truth.shifts, atol=0.01)
    np.testing.assert_allclose(back.alignment.angles, truth.angles, atol=0.01)


def test_views_that_are_left_out_stay_so(tmp_path: Path) -> None:
    star, _ = project(tmp_path, left_out=1)
    convert_tilts([star], "aretomo", tmp_path, root=tmp_path, size=SIZE, pixel_size=None, force=False)
    # RELION's STAR has no row for a view that is not used, so the stack it is of has four.
    assert read_aln(tmp_path / "TS_1.aln").views == 4


def test_an_aln_that_lists_dark_views_is_read_by_itself(tmp_path: Path) -> None:
    """Versions count all views or only bright ones, from 0 or 1; one writes 0 for the section of every dark one."""
    head = "# AreTomo Alignment / Priims bprmMn\n# RawSize = 64 48 5\n# NumPatches = 0\n"
    head += "# DarkFrame =     1    0    -6.00\n# DarkFrame =     5    0     6.00\n"
    rows = [f"{n:5d}  85.3 1.0  {n}.5 2.0  1 1 1 0 {angle:.2f}" for n, angle in enumerate((-3.0, 0.0, 3.0))]
    (tmp_path / "ts.aln").write_text(head + "\n".join(rows) + "\n")
    assert sections_from_zero(read_aln(tmp_path / "ts.aln"), ANGLES).tolist() == [1, 2, 3]
    made = import_files([tmp_path / "ts.aln"], tmp_path, root=tmp_path)
    assert any("views 1,5 are left out" in note for note in made.notes)
    assert read_angles(tmp_path / "ts.tlt").tolist() == ANGLES.tolist()
    (tmp_path / "short.aln").write_text(head.replace("48 5", "48 90") + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match=r"lists 5 of 90 views.*short.rawtlt"):
        import_files([tmp_path / "short.aln"], tmp_path, root=tmp_path)


def test_warp_s_angles_are_turned_into_imod_s_sense(tmp_path: Path) -> None:
    xml = (
        '<TiltSeries AreAnglesInverted="True"><Angles>-6\n-3\n0</Angles><Dose>0\n3\n6</Dose>'
        "<UseTilt>True\nFalse\nTrue</UseTilt></TiltSeries>"
    )
    (tmp_path / "w.xml").write_text(xml)
    made = import_files([tmp_path / "w.xml"], tmp_path, root=tmp_path)
    assert read_angles(tmp_path / "w.rawtlt").tolist() == [6, 3, 0]
    assert any("views 2 are left out" in note for note in made.notes)


@pytest.mark.parametrize(
    ("to", "said"),
    [("aretomo", "give it with --image-size"), ("relion", "give the pixel size"), ("cryosparc", "nothing in it for")],
)
def test_what_a_file_lacks_is_asked_for(tmp_path: Path, to: str, said: str) -> None:
    (tmp_path / "a.xf").write_text("1 0 0 1 2 3\n" * 3)
    (tmp_path / "a.tlt").write_text("-3\n0\n3\n")
    with pytest.raises((InputError, UsageError), match=said):
        export(tmp_path / "a.xf", to, tmp_path / "out", project=tmp_path)


def test_an_unknown_kind_of_file_names_those_that_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(UsageError, match=r"import reads .pyp_config.toml"):
        import_files([tmp_path / "a.txt"], tmp_path, root=tmp_path)
