"""Files about tilt series: angles, transforms, alignments, defocus; and stacks described by them."""

from pathlib import Path

import mrcfile
import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.formats.aretomo import read_aln, sections_from_zero, write_aln
from pypcore.formats.ctffind import read_ctffind
from pypcore.formats.mrc import read_mrc
from pypcore.formats.mrc_stack import MrcStackWriter, MrcVolumeWriter
from pypcore.formats.open_tilt_series import Reading, open_tilt_series
from pypcore.formats.relion_tomo import series_files, series_of_star, write_tilt_series
from pypcore.formats.tilt_alignment import aln_of, find_alignment, read_alignment, write_xf_and_tlt
from pypcore.formats.tilt_angles import read_angles, write_angles
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.formats.warp_xml import read_warp_xml
from pypcore.formats.xf import read_xf, write_xf
from pypcore.tilts.alignment import TiltAlignment

ANGLES = np.array([-6.0, -3.0, 0.0, 3.0, 6.0])
SHAPE = (48, 64)


def write_stack(folder: Path, angles: np.ndarray | None = ANGLES, name: str = "ts", count: int = 5) -> Path:
    path = folder / f"{name}.st"
    with MrcStackWriter(path, 2.5) as writer:
        for number in range(count):
            writer.append(np.full(SHAPE, number, np.float32))
    if angles is not None:
        write_angles(folder / f"{name}.rawtlt", angles)
    return path


def some_alignment(count: int = 5, *, left_out: int | None = 1) -> TiltAlignment:
    rng = np.random.default_rng(3)
    shifts = rng.normal(0, 20, (count, 2))
    found = TiltAlignment.of_axis(ANGLES[:count] + 0.4, 85.3, shifts, SHAPE, 2.5)
    return found if left_out is None else found.leave_out([left_out])


def read(path: Path, root: Path | None = None, **options: object) -> TiltSeries:
    return open_tilt_series(path, Reading(root or path.parent, **options))[0]  # type: ignore[arg-type]


def test_a_stack_written_by_sections_is_what_mrcfile_reads(tmp_path: Path) -> None:
    images = np.random.default_rng(0).normal(3, 2, (4, 5, 7)).astype(np.float32)
    for kind, tolerance in (("float32", 0), ("float16", 1e-2)):
        for volume in (False, True):
            path = tmp_path / f"{kind}.mrc"
            if volume:
                whole = MrcVolumeWriter(path, images.shape, 1.25, kind)
                whole.put(images[2:], 2, 0)
                whole.put(images[:2, 3:], 0, 3)
                whole.put(images[:2, :3], 0, 0)
                whole.finish()
            else:
                with MrcStackWriter(path, 1.25, kind=kind) as writer:
                    for image in images:
                        writer.append(image)
            assert mrcfile.validate(path)
            with mrcfile.open(path) as file:
                assert np.abs(file.data - images).max() <= tolerance
                assert file.voxel_size.x == pytest.approx(1.25)
                assert file.is_volume() == volume
                assert file.header.dmean == pytest.approx(file.data.mean(dtype=float), rel=1e-5)
            assert read_mrc(path)[1] == pytest.approx(1.25)
    with MrcStackWriter(tmp_path / "x.mrc", 1, kind="float16") as writer, pytest.raises(InputError, match="float16"):
        writer.append(np.full((2, 2), 1e6))


def test_angles_of_a_stack_come_from_its_rawtlt(tmp_path: Path) -> None:
    series = read(write_stack(tmp_path))
    assert series.angles.tolist() == ANGLES.tolist()
    assert series.pixel_size == 2.5
    assert series.sources == {"angles": str(tmp_path / "ts.rawtlt"), "pixel_size": "the stack's header"}


@pytest.mark.parametrize(
    ("angles", "expected"),
    [
        (ANGLES[:4], "ts.rawtlt: 4 angles for the 5 images of ts.st"),
        (np.zeros(5), "all 5 tilt angles are 0"),
        (np.array([-6, -3, 3, 0, 6.0]), r"angle 4 \(0\) comes after 3: not in order; .*--sort-angles"),
        (np.array([-6, -3, 0, 3, 95.0]), "line 5: 95.00 degrees; a tilt angle lies within"),
        (np.array([-6, -3, np.nan, 3, 6.0]), "line 3: nan degrees"),
        (None, "no angles beside it"),
    ],
)
def test_angles_that_can_t_be_are_one_line(tmp_path: Path, angles: np.ndarray | None, expected: str) -> None:
    with pytest.raises(InputError, match=expected) as raised:
        read(write_stack(tmp_path, angles))
    assert "\n" not in str(raised.value)


def test_a_stack_as_it_was_taken_is_sorted_on_request(tmp_path: Path) -> None:
    series = read(write_stack(tmp_path, np.array([0, 3, -3, -6, 6.0])), sort_angles=True)
    assert [view.section for view in series.views] == [3, 2, 0, 1, 4]
    assert [view.order for view in series.views] == [3, 2, 0, 1, 4]
    assert series.stack_order().tolist() == [2, 3, 1, 0, 4]


def test_the_mdoc_beside_a_stack_tells_the_rest_by_zvalue(tmp_path: Path) -> None:
    path = write_stack(tmp_path, None)
    sections = [
        f"[ZValue = {z}]\nTiltAngle = {ANGLES[z]}\nPixelSpacing = 3.1\nPriorRecordDose = {2.0 * rank}\n"
        for rank, z in enumerate((2, 3, 1, 0, 4))
    ]
    (tmp_path / "ts.st.mdoc").write_text("Voltage = 200\n[T = Tilt axis angle = -95.0]\n" + "\n".join(sections))
    series = read(path)
    assert series.angles.tolist() == ANGLES.tolist()
    assert [view.prior_dose for view in series.views] == [6, 4, 0, 2, 8]
    assert (series.pixel_size, series.axis, series.voltage) == (3.1, -95.0, 200)
    (tmp_path / "ts.st.mdoc").write_text("\n".join(sections[:4]))
    with pytest.raises(InputError, match="4 sections for the 5 images"):
        read(path)


def test_too_few_views_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 of 2 views can be used"):
        read(write_stack(tmp_path, ANGLES[:2], count=2))


def test_transforms_and_angles_survive_a_round_trip(tmp_path: Path) -> None:
    path = write_stack(tmp_path, np.array([0, 3, -3, -6, 6.0]))
    series = read(path, sort_angles=True)
    alignment = some_alignment(left_out=None)
    write_xf_and_tlt(tmp_path / "ts.xf", tmp_path / "ts.tlt", series, alignment)
    # Rows are those of the stack: its first section is the view at 0 degrees.
    assert read_angles(tmp_path / "ts.tlt").tolist() == pytest.approx([0.4, 3.4, -2.6, -5.6, 6.4])
    found = find_alignment(tmp_path, "ts")
    assert found == tmp_path / "ts.xf"
    again = read_alignment(found, series, SHAPE, 2.5)
    assert again.matrices == pytest.approx(alignment.matrices, abs=1e-6)
    assert again.shifts == pytest.approx(alignment.shifts, abs=1e-3)
    assert again.angles == pytest.approx(alignment.angles, abs=0.01)


def test_an_aln_says_the_same_as_the_xf(tmp_path: Path) -> None:
    series = read(write_stack(tmp_path))
    alignment = some_alignment()
    write_aln(tmp_path / "ts.aln", aln_of(series, alignment))
    assert find_alignment(tmp_path, "ts") == tmp_path / "ts.aln"
    again = read_alignment(tmp_path / "ts.aln", series, SHAPE, 2.5)
    assert again.used.tolist() == [True, False, True, True, True]
    used = again.used
    assert again.matrices[used] == pytest.approx(alignment.matrices[used], abs=1e-5)
    assert again.shifts[used] == pytest.approx(alignment.shifts[used], abs=2e-3)
    assert again.angles[used] == pytest.approx(alignment.angles[used], abs=0.01)


def test_sections_of_an_aln_count_from_0_or_from_1(tmp_path: Path) -> None:
    """As AreTomo's versions do: the angles tell which. TX and TY are -A⁻¹ D (AreTomo 3, CSaveXF)."""
    rows = "".join(f"{s} 0.0 1.0 5.0 -2.0 1 1 1 0 {tilt}\n" for s, tilt in ((2, -3.5), (3, -0.5), (4, 2.5)))
    (tmp_path / "a.aln").write_text("# AreTomo Alignment\n# RawSize = 64 48 5\n# DarkFrame = 1 0 -6.0\n" + rows)
    aln = read_aln(tmp_path / "a.aln")
    assert sections_from_zero(aln, ANGLES).tolist() == [1, 2, 3]
    again = read_alignment(tmp_path / "a.aln", read(write_stack(tmp_path)), SHAPE, 2.5)
    assert again.shifts[2].tolist() == [-5.0, 2.0]
    with pytest.raises(InputError, match=r"is the \.aln of another series"):
        sections_from_zero(aln, ANGLES * -9)
    with pytest.raises(InputError, match="64 x 48 pixels, but those"):
        read_alignment(tmp_path / "a.aln", read(write_stack(tmp_path)), (24, 32), 2.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 0 0 1 0\n", "six numbers"),
        ("1 0 0 1 0 x\n", "six numbers"),
        ("", "no transform"),
        ("0 0 0 0 1 1\n", "flattens"),
    ],
)
def test_what_is_no_xf_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "a.xf").write_text(text)
    with pytest.raises(InputError, match=expected):
        read_xf(tmp_path / "a.xf")


def test_an_xf_of_another_series_is_refused(tmp_path: Path) -> None:
    series = read(write_stack(tmp_path))
    write_xf(tmp_path / "ts.xf", np.tile(np.eye(2), (4, 1, 1)), np.zeros((4, 2)))
    write_angles(tmp_path / "ts.tlt", ANGLES)
    with pytest.raises(InputError, match=r"ts\.xf: 4 lines for the 5 views"):
        read_alignment(tmp_path / "ts.xf", series, SHAPE, 2.5)


def test_defocus_of_ctffind_and_aretomo(tmp_path: Path) -> None:
    path = tmp_path / "ctf.txt"
    path.write_text("# by CTFFIND\n1.0 25000.0 24000.0 60.0 1.5707963 0.1 12.0\n   2 26000 25500 -10 0 0.1 9.0 10\n")
    found = read_ctffind(path)
    assert found[1].phase == pytest.approx(90)
    assert (found[2].u, found[2].v, found[2].angle, found[2].mean) == (26000, 25500, -10, 25750)
    path.write_text("1 25000 x\n")
    with pytest.raises(InputError, match="line 1 is '1 25000 x'"):
        read_ctffind(path)


def test_defocus_of_warp(tmp_path: Path) -> None:
    nodes = "".join(f'<Node X="0" Y="0" Z="{z}" Value="{2 + z}" />' for z in range(3))
    text = f"""<?xml version="1.0" encoding="utf-16"?><TiltSeries AreAnglesInverted="True">
    <Angles>-3\n0\n3</Angles><Dose>4\n0\n2</Dose><UseTilt>True\nFalse\nTrue</UseTilt>
    <MoviePath>..\\x\\a.tif\nb.tif\nc.tif</MoviePath><GridCTF Width="1" Height="1" Depth="3">{nodes}</GridCTF>
    <GridCTFDefocusDelta><Node X="0" Y="0" Z="0" Value="0.1"/></GridCTFDefocusDelta></TiltSeries>"""
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
    found = read_warp_xml(tmp_path / "a.xml")
    assert found.inverted
    assert (found.angles, found.used, found.movies[0]) == ([-3, 0, 3], [True, False, True], "a.tif")
    assert (found.defocus[1].u, found.defocus[1].v) == pytest.approx((30500, 29500))
    (tmp_path / "a.xml").write_text("<Movie/>")
    with pytest.raises(InputError, match="<Movie>, not <TiltSeries>"):
        read_warp_xml(tmp_path / "a.xml")


def test_a_relion_star_file_survives_a_round_trip(tmp_path: Path) -> None:
    path = write_stack(tmp_path)
    views = tuple(View(path, z, float(ANGLES[z]), order=4 - z, prior_dose=3.0 * (4 - z)) for z in range(5))
    series = TiltSeries(path, views, 2.5, 85.0, 300)
    alignment = some_alignment()
    (tmp_path / "tilt_series").mkdir()
    star = tmp_path / "tilt_series/ts.star"
    write_tilt_series(star, "ts", series, alignment, [1] * 5, lambda file: str(file.relative_to(tmp_path)))
    (tmp_path / "tomograms.star").write_text(
        "data_global\nloop_\n_rlnTomoName\n_rlnTomoTiltSeriesStarFile\n_rlnVoltage\n_rlnTomoTiltSeriesPixelSize\n"
        "_rlnTomoHand\n_rlnSphericalAberration\n_rlnAmplitudeContrast\nts tilt_series/ts.star 200 2.5 -1 2.1 0.1\n"
    )
    assert series_files(tmp_path / "tomograms.star", tmp_path) == [star]
    again = series_of_star(star, tmp_path)
    assert again.name == "ts"
    assert [view.section for view in again.series.views] == [0, 2, 3, 4]
    assert [view.prior_dose for view in again.series.views] == [12, 6, 3, 0]
    assert (again.series.voltage, again.series.pixel_size, again.series.axis) == (200, 2.5, 85)
    assert (again.series.hand, again.series.cs, again.series.amplitude_contrast) == (-1, 2.1, 0.1)
    found = again.alignment(SHAPE, 2.5)
    assert found is not None
    part = alignment.select(alignment.used)
    assert found.angles == pytest.approx(part.angles, abs=1e-6)
    assert found.shifts == pytest.approx(part.shifts, abs=1e-3)
    assert found.matrices == pytest.approx(part.matrices, abs=1e-9)
