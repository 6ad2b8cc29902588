"""Signs, origins, units: what a program writes against what our files say, on numbers worked out by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from program_cases import CASES, Bench, absolute, mdoc, series

from pypcore.errors import InputError
from pypcore.formats.aretomo import read_aln
from pypcore.formats.coordinates import read_all_picks, read_picks
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.formats.relion_motion import read_motion
from pypcore.formats.star import read_star
from pypcore.programs.ctffind import read_ctf
from pypcore.programs.motioncor3 import read_alignment
from pypcore.programs.process import ProgramError
from pypcore.programs.shrink import shrink


def run(bench: Bench, operation: str, **options):
    case = next(one for one in CASES if one.operation == operation)
    return bench.do(operation, case.make(bench.folder), **(absolute(case, bench.folder) | options))


# ---- MotionCor3


def test_motioncor3s_shift_is_what_it_applies_and_ours_is_where_the_specimen_went(tmp_path: Path):
    (tmp_path / "a.aln").write_text(
        "setting\n   stackSize: 64 48 2 1\n   patches: 2 2 0\n   throw: 1 0\n#    Global Shift\nglobalShift\n"
        "   stackID 0\n     0    +0.000    +0.000\n     1    +2.000    -0.500\n#    Local Shift\nlocalShift\n"
        "   patchID: 0\n   Converge: 1\n     1     16.00     12.00    +0.100    +0.300\n"
    )
    found = read_alignment(tmp_path / "a.aln")
    assert found.size == (64, 48, 2)
    assert found.throw == 1
    assert found.whole.tolist() == [[0, 0], [0.5, -2.0]]  # (y, x), the sign turned
    assert found.local.tolist() == [[1, 12, 16, -0.3, -0.1]]


def test_motioncor3_leaves_what_motioncorr_leaves(bench: Bench):
    (result,), merged = run(bench, "motioncor3", first=2, last=5, even_odd=True, save_unweighted=True, bin=2)
    names = sorted(path.name for path in (bench.folder / "job/micrographs").iterdir())
    assert names == ["m_001.aln", "m_001.mrc", "m_001.star", "m_001_EVN.mrc", "m_001_ODD.mrc", "m_001_noDW.mrc"]
    motion = read_motion(result.products["motion"])
    assert (motion.frames, motion.first, motion.binning) == (6, 2, 2)
    assert np.isnan(motion.shifts[[0, 5]]).all()
    # The fake writes x = 0.5 f - 1 and y = -0.25 f for its f-th frame; RELION's file has the same numbers.
    table = read_star(result.products["motion"])["global_shift"].columns
    assert [float(value) for value in table["rlnMicrographShiftX"][1:5]] == [-1, -0.5, 0, 0.5]
    assert [float(value) for value in table["rlnMicrographShiftY"][1:5]] == [0, -0.25, -0.5, -0.75]
    assert motion.shifts[2].tolist() == [0.25, 0.5]
    assert motion.patches is not None
    assert motion.patches[:, 0].min() == 1  # the first frame used, from 0
    star = read_star(merged.products["star"])
    assert star["micrographs"].columns["rlnMicrographName"] == ["job/micrographs/m_001.mrc"]
    assert star["optics"].columns["rlnMicrographPixelSize"] == ["2"]
    path = 3 * math.hypot(0.5, 0.25)
    assert float(star["micrographs"].columns["rlnAccumMotionTotal"][0]) == pytest.approx(path)


def test_motioncor3s_trim_and_throw_count_frames_from_the_ends(bench: Bench):
    run(bench, "motioncor3", first=2, last=4)
    words = bench.calls[-1]["arguments"]
    assert words[words.index("-Throw") + 1] == "1"
    assert words[words.index("-Trunc") + 1] == "2"


def test_a_gain_of_another_size_is_refused_before_motioncor3_ignores_it(bench: Bench):
    gain = bench.folder / "gain.mrc"
    with pytest.raises(Exception, match=r"64 x 48 pixels, and the gain gain\.mrc has 48 x 64 when turned by 90"):
        run(bench, "motioncor3", gain=gain, gain_rotate=90)


# ---- AreTomo


def test_aretomos_alignment_as_imods_transform(tmp_path: Path):
    (tmp_path / "a.aln").write_text(
        "# AreTomo Alignment / Priims bprmMn\n# RawSize = 100 80 3\n# NumPatches = 0\n"
        "# DarkFrame =     0    1   -60.00\n"
        "# SEC     ROT         GMAG       TX          TY      SMEAN     SFIT    SCALE     BASE     TILT\n"
        "    2   90.0000    1.00000     10.000      2.000     1.00     1.00     1.00     0.00     -1.50\n"
        "    3    0.0000    1.00000     10.000      2.000     1.00     1.00     1.00     0.00     28.50\n"
        "# Local Alignment\n   0   0  -558.42   -802.00   -100.07     24.43   1.0\n"
    )
    found = read_aln(tmp_path / "a.aln")
    assert found.sections.tolist() == [2, 3]  # as AreTomo3 counts: from 1
    assert found.dark == {1: -60.0}
    assert found.tilts.tolist() == [-1.5, 28.5]
    matrices, shifts = found.transforms()
    assert matrices[1] == pytest.approx(np.eye(2))
    assert shifts[1] == pytest.approx([-10, -2])
    # A turn by -90 degrees takes (x, y) to (y, -x): D = A (-10, -2) = (-2, 10).
    assert matrices[0] == pytest.approx(np.array([[0, 1], [-1, 0]]), abs=1e-12)
    assert shifts[0] == pytest.approx([-2, 10], abs=1e-12)


@pytest.mark.parametrize("operation", ["aretomo2", "aretomo3"])
def test_aretomos_files_are_imods_and_relions(bench: Bench, operation: str):
    (result,), merged = run(bench, operation)
    kept = np.loadtxt(result.products["xf"])
    assert kept.shape == (4, 6)  # of five, one is dark
    assert np.loadtxt(result.products["tlt"]).tolist() == [-30, 0, 30, 60]
    assert result.figures["dark_sections"] == [0]
    axis = math.degrees(math.atan2(kept[0, 1], kept[0, 0]))
    assert axis == pytest.approx(85.3, abs=1e-3)
    table = read_star(merged.products["tomograms"])["global"].columns
    assert table["rlnTomoReconstructedTomogram"] == ["job/tomograms/ts_01.mrc"]
    assert read_mrc(result.products["tomogram"])[0].shape == (8, 12, 16)


def test_aretomo2_without_angles_is_a_clear_line(bench: Bench):
    files = series(bench.folder)
    (bench.folder / "ts_01.rawtlt").unlink()
    with pytest.raises(Exception, match=r"no angles: neither ts_01.rawtlt nor .tlt is beside it"):
        bench.do("aretomo2", files, pixel_size=2.0, tilt_axis=85.3)
    (bench.folder / "ts_01.tlt").write_text("1\n2\n")
    with pytest.raises(Exception, match=r"5 sections, and ts_01\.tlt has 2 angles"):
        bench.do("aretomo2", files, pixel_size=2.0, tilt_axis=85.3)


def test_aretomo3_takes_movies_by_their_mdoc(bench: Bench):
    files = mdoc(bench.folder)
    with pytest.raises(Exception, match="--frame-dose"):
        bench.do("aretomo3", files, pixel_size=2.0, tilt_axis=85.3)
    (result,), merged = bench.do("aretomo3", files, pixel_size=2.0, tilt_axis=85.3, frame_dose=0.5, thickness=32)
    assert {"tomogram", "half1", "half2", "xf"} <= set(result.products)
    assert "rlnTomoReconstructedTomogramHalf1" in read_star(merged.products["tomograms"])["global"].columns
    (bench.folder / "grid.step2_1.mrc").unlink()
    with pytest.raises(Exception, match=r"1 of its movies are not beside it, such as grid\.step2_1\.mrc"):
        bench.do("aretomo3", files, pixel_size=2.0, tilt_axis=85.3, frame_dose=0.5)


# ---- coordinates


def test_topazs_picks_are_pixels_of_the_micrograph_the_best_first(bench: Bench):
    (a, _), merged = run(bench, "topaz-pick", downsample=4)
    picks = read_picks(a.products["coordinates"])
    assert picks.points.tolist() == [[120, 20], [40, 80]]  # (30, 5) and (10, 20) of the small image; -3 is too low
    assert picks.scores.tolist() == [2.25, 0.5]
    words = next(call["arguments"] for call in bench.calls if call["arguments"][0] == "extract")
    assert words[words.index("-r") + 1] == "4"  # 16 pixels of the micrograph
    both = read_all_picks(merged.products["coordinate_files"], ["a.mrc", "b.mrc"], bench.folder)
    assert {name: len(one.points) for name, one in both.items()} == {"a.mrc": 2, "b.mrc": 2}


def test_topaz_is_given_float32_whatever_the_file_has(bench: Bench):
    (bench.folder / "network").write_bytes(b"PK")
    write_mrc(bench.folder / "c.mrc", np.arange(64 * 64, dtype=np.uint16).reshape(64, 64), 1.5)
    kept = []

    def call(adapter, task, words):
        kept.append(read_mrc(task.folder / "in.mrc")[0])

    bench.monkeypatch.setattr("pypcore.programs.topaz.Denoise.call", call)
    with pytest.raises(ProgramError):  # nothing was called
        bench.do("topaz-denoise", ["c.mrc"])
    assert kept[0].dtype == np.float32
    assert kept[0][1, 1] == 65


def test_topaz_is_trained_on_pixels_of_the_small_image(bench: Bench):
    _, merged = run(bench, "topaz-train", downsample=8)
    assert merged.figures["picks"] == 4


def test_shrinking_keeps_pixel_nought_in_its_place():
    y, x = np.mgrid[:64, :96]
    image = np.exp(-((y - 24) ** 2 + (x - 40) ** 2) / 50).astype(np.float32)
    small = shrink(image, 4)
    assert small.shape == (16, 24)
    assert np.unravel_index(small.argmax(), small.shape) == (6, 10)
    assert small.mean() == pytest.approx(image.mean(), rel=1e-4)


def test_pytoms_particles_are_voxels_with_their_tomograms_name(bench: Bench):
    _, merged = run(bench, "pytom-match")
    rows = read_star(merged.products["particles"])["particles"].columns
    assert rows["rlnTomoName"] == ["t1"] * 3 + ["t2"] * 3
    assert rows["rlnCoordinateX"][:3] == ["10", "11", "12"]
    words = bench.calls[0]["arguments"]
    assert words[words.index("--defocus") + 1] == "3"  # 30000 Å in micrometres


def test_each_search_range_has_its_own_flag(bench: Bench):
    run(bench, "pytom-match", search_x=(1, 9), search_y=(2, 8), search_z=(3, 7))
    text = " ".join(bench.calls[0]["arguments"])
    assert "--search-x 1 9 --search-y 2 8 --search-z 3 7" in text


# ---- CTF


def test_ctffinds_table_in_relions_units(bench: Bench):
    bench.gpus("")
    (a, _), merged = run(bench, "ctffind")
    (row,) = read_ctf(a.products["result"])
    assert (row.defocus_u, row.defocus_v, row.angle) == (12000.5, 11500.25, 30)
    assert row.phase_shift == pytest.approx(90, abs=1e-3)  # it writes radians
    star = read_star(merged.products["star"])
    assert star["micrographs"].columns["rlnDefocusU"] == ["12000.5"] * 2
    assert star["micrographs"].columns["rlnMicrographName"] == ["a.mrc", "b.mrc"]
    assert "rlnPhaseShift" not in star["micrographs"].columns
    assert float(star["optics"].columns["rlnVoltage"][0]) == 300


def test_ctffind_on_each_tilt(bench: Bench):
    bench.gpus("")
    (result,), _ = bench.do("ctffind", series(bench.folder), voltage=300, tilts=True)
    rows = read_star(result.products["tilts"])["ts_01"].columns
    assert [float(value) for value in rows["rlnDefocusU"]] == [12000.5 + n for n in range(5)]


@pytest.mark.parametrize("read", [read_alignment, read_aln, read_ctf])
def test_a_file_of_another_kind_is_told(tmp_path: Path, read):
    (tmp_path / "x").write_text("nothing of the kind\n")
    with pytest.raises((InputError, ProgramError), match="x: "):
        read(tmp_path / "x")
