"""From tilt movies or stacks to aligned series and tomograms, as a task does it."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mrcfile
import numpy as np
import pytest
from scipy import ndimage

from pypcore.errors import InputError
from pypcore.formats.mrc import write_mrc
from pypcore.formats.mrc_stack import MrcStackWriter
from pypcore.formats.star import read_star
from pypcore.formats.tilt_alignment import read_alignment
from pypcore.formats.tilt_angles import read_angles, write_angles
from pypcore.formats.xf import read_xf, write_xf
from pypcore.geometry import tilt_oriented, tilt_rotation
from pypcore.items import Item, choose_names
from pypcore.operation import Context, Done, Result
from pypcore.operations.align_tilts import AlignTilts
from pypcore.operations.align_tilts_parameters import AlignTiltsParameters
from pypcore.operations.tilt_images import TiltImages
from pypcore.operations.tilt_task import begin
from pypcore.operations.tomogram import Tomogram
from pypcore.operations.tomogram_parameters import TomogramParameters
from pypcore.simulate.tilt_files import write_movies, write_stack
from pypcore.simulate.tiltseries import SimulatedSeries, TiltPlan, simulate_series

PLAN = TiltPlan(shape=(96, 128), depth=32, pixel_size=10, angles=(-60, 60, 6), shift=6, dose=0)


@pytest.fixture(scope="module")
def noise_free() -> SimulatedSeries:
    return simulate_series("vesicles", PLAN, seed=1)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that everything is started in: paths in STAR files are relative to it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def item_of(path: Path, root: Path) -> Item:
    stat = path.stat()
    given = str(path.relative_to(root))
    return Item(0, choose_names([path])[0], str(path), given, stat.st_size, stat.st_mtime_ns)


def true_alignment(folder: Path, series: SimulatedSeries, name: str = "ts") -> None:
    write_xf(folder / f"{name}.xf", tilt_rotation(np.full(len(series.angles), PLAN.axis)), series.shifts)
    write_angles(folder / f"{name}.tlt", series.angles)


def make(path: Path, root: Path, context: Context, **options: object) -> Result:
    return Tomogram().process(item_of(path, root), TomogramParameters(thickness=32, bin=1, **options), context)


def density(result: Result, kind: str = "tomogram") -> np.ndarray:
    return mrcfile.read(result.products[kind])


def agreement(volume: np.ndarray, series: SimulatedSeries) -> float:
    """Correlate a tomogram with the truth, in what both show: more matter is darker."""
    truth = series.truth()
    z, y, x = (min(a, b) for a, b in zip(volume.shape, truth.shape, strict=True))

    def middle(data: np.ndarray) -> np.ndarray:
        low = [(size - side) // 2 for size, side in zip(data.shape, (z, y, x), strict=True)]
        part = data[low[0] : low[0] + z, low[1] : low[1] + y, low[2] : low[2] + x]
        return (part - part.mean()).ravel()

    a, b = middle(volume), -middle(truth)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def test_an_alignment_beside_the_stack_is_taken_and_gives_the_truth(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    path = write_stack(root / "in", "ts", noise_free)
    true_alignment(root / "in", noise_free)
    result = make(path, root, make_context("job"), halves="tilts")
    assert result.figures["alignment_from"] == str(root / "in/ts.xf")
    volume = density(result)
    assert volume.shape == (32, 128, 96)  # the axis is nearer to x: sides are exchanged
    good = agreement(volume, noise_free)
    assert good > 0.6
    assert agreement(volume[::-1], noise_free) < 0.5 * good
    assert density(result, "half1") + density(result, "half2") == pytest.approx(
        volume, abs=1e-3 * float(np.abs(volume).max())
    )
    assert mrcfile.validate(result.products["tomogram"])
    assert set(result.products) == {
        *("xf", "tlt", "aln", "tilt_series", "alignment_picture", "tomogram_picture"),
        *("tomogram", "half1", "half2"),
    }


def test_what_we_write_gives_the_same_stack_by_imod_s_definition(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    """An .xf says: aligned = A (raw - c) + D + c. By hand it must be the view that ours is."""
    path = write_stack(root / "in", "ts", noise_free)
    true_alignment(root / "in", noise_free)
    result = make(path, root, make_context("job"))
    matrices, shifts = read_xf(result.products["xf"])
    given = read_alignment(root / "in/ts.xf", _series(path), PLAN.shape, 10.0)
    assert read_angles(result.products["tlt"]).tolist() == noise_free.angles.tolist()
    for view in (0, 10, 20):
        raw = noise_free.tilts[view]
        size = 60  # of the middle, which no edge has touched
        y, x = np.indices((size, size)) - (size - 1) / 2
        ours = np.linalg.inv(matrices[view]) @ (np.stack([x.ravel(), y.ravel()]) - shifts[view][:, None])
        points = np.stack([x, y], -1) + (np.array(given.aligned_shape[::-1]) / 2 - 0.5)
        theirs = given.to_raw(view, points)
        centre = np.array(raw.shape)[:, None] / 2 - 0.5
        first = ndimage.map_coordinates(raw, ours[::-1] + centre, order=3)
        second = ndimage.map_coordinates(raw, [theirs[..., 1].ravel(), theirs[..., 0].ravel()], order=3)
        assert np.corrcoef(first, second)[0, 1] > 0.99999


def _series(path: Path):  # type: ignore[no-untyped-def]
    from pypcore.formats.open_tilt_series import Reading, open_tilt_series

    return open_tilt_series(path, Reading(path.parent))[0]


def test_the_whole_way_from_movies_and_again_from_what_it_left(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = write_movies(root / "in", "ts", noise_free, dose=200, frames=3)
    result = make(path, root, make_context("job"), halves="frames", dose_weighting=True)
    figures = result.figures
    assert (figures["views"], figures["total_dose"], figures["voltage"]) == (21, 4200, 300)
    assert abs(float(figures["tilt_axis"]) - PLAN.axis) < 2.5  # type: ignore[arg-type]
    volume = density(result)
    assert density(result, "half1") + density(result, "half2") == pytest.approx(
        volume, abs=1e-3 * float(np.abs(volume).max())
    )
    halves = np.corrcoef(density(result, "half1").ravel(), density(result, "half2").ravel())[0, 1]
    assert 0.02 < halves < 0.99
    assert "axis from 'Tilt axis angle' in the mdoc" in caplog.text
    # The corrected tilts are a stack of their own, by angle, with even and odd frames that add up.
    tilts, even, odd = (mrcfile.read(result.products[kind]) for kind in ("tilts", "tilts_even", "tilts_odd"))
    assert tilts.shape == (21, 96, 128)
    assert even + odd == pytest.approx(tilts, rel=1e-4)
    star = next(iter(read_star(result.products["tilt_series"]).values())).columns
    assert star["rlnMicrographName"][0] == "000011@job/tilts/ts.mrcs"  # 0 degrees were taken first
    assert star["rlnMicrographPreExposure"][:3] == ["0", "200", "400"]
    # RELION's description of it is an input like any other, and gives the same tomogram.
    again = make(result.products["tilt_series"], root, make_context("job2"), halves="frames", voltage=300,
                 pixel_size=10, dose_weighting=True)  # fmt: skip
    assert again.figures["alignment_from"] == "the STAR file"
    same = np.corrcoef(density(again).ravel(), volume.ravel())[0, 1]
    assert same > 0.99999


def test_threads_and_memory_change_no_byte(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    path = write_movies(root / "in", "ts", noise_free, dose=200, frames=2)
    made = []
    for threads, memory in ((1, 2 << 30), (2, 320 << 20)):
        context = make_context(f"job{threads}", threads)
        context.memory = memory  # the second is made in several slabs
        result = make(path, root, context, halves="tilts")
        made.append({kind: file.read_bytes() for kind, file in result.products.items() if kind != "tilt_series"})
    assert made[0] == made[1]


@pytest.mark.parametrize("kind", ["float16", "int8"])
@pytest.mark.parametrize("orientation", ["xyz", "xzy"])
def test_kinds_of_numbers_and_orientations(
    kind: str, orientation: str, root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    path = write_stack(root / "in", "ts", noise_free)
    true_alignment(root / "in", noise_free)
    method = "wbp" if kind == "int8" else "sirt"  # in slabs of planes, of slices
    plain = density(make(path, root, make_context("plain"), method=method, iterations=2))
    result = make(path, root, make_context("job"), type=kind, orientation=orientation, method=method, iterations=2)
    stored = density(result).astype(float)
    if kind == "int8":
        zero, step = float(result.figures["int8_zero"]), float(result.figures["int8_step"])  # type: ignore[arg-type]
        with mrcfile.open(result.products["tomogram"]) as file:
            assert f"density = {zero:.6g} + {step:.6g} * value" in file.header.label[0].decode()
            assert file.data.dtype == np.int8
        stored = zero + step * stored
        tolerance = 0.51 * step + (np.abs(plain - zero) > 126 * step) * 1e9
    else:
        tolerance = 1e-3 * np.abs(plain).max()
    expected = tilt_oriented(plain, orientation)
    assert (np.abs(stored - expected) <= tilt_oriented(np.broadcast_to(tolerance, plain.shape), orientation)).all()


def test_tiff_movies_with_a_gain_are_what_mrc_movies_without_one_are(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    gain = np.random.default_rng(1).uniform(0.5, 1.5, PLAN.shape).astype(np.float32)
    write_mrc(root / "gain.mrc", gain, 10.0)
    write_movies(root / "plain", "ts", noise_free, dose=500, frames=2)
    write_movies(root / "odd", "ts", noise_free, dose=500, frames=2, suffix=".tif", gain=gain)
    stacks = []
    for folder, options in (("plain", {}), ("odd", {"gain": root / "gain.mrc"})):
        params = AlignTiltsParameters(thickness=32, **options)
        task = begin(item_of(root / folder / "ts.mdoc", root), params, make_context(folder), halves=False, share=1)
        stacks.append(mrcfile.read(task.products["tilts"])[:, 8:-8, 8:-8])
    assert np.corrcoef(stacks[0].ravel(), stacks[1].ravel())[0, 1] > 0.7


def test_views_that_show_nothing_of_the_rest_are_found(root: Path, make_context: Callable[..., Context]) -> None:
    """A black view, a dark one, one of another place (shifted out of the field), one with pixels that are NaN."""
    plan = TiltPlan(shape=(192, 192), depth=48, pixel_size=10, shift=10, dose=30, dark=(30,), lost=(12,))
    series = simulate_series("cytosol", plan, seed=3)
    series.tilts[3] = 0
    series.tilts[20, 5, 5:9] = np.nan
    with MrcStackWriter(root / "ts.st", 10.0) as writer:
        for tilt in series.tilts:
            writer.append(tilt)
    write_angles(root / "ts.rawtlt", series.angles)
    params = AlignTiltsParameters(thickness=48, tilt_axis=85.3, pixel_size=10)
    result = AlignTilts().process(item_of(root / "ts.st", root), params, make_context())
    excluded = result.figures["views_excluded"]
    assert isinstance(excluded, dict)
    assert {"4", "13", "21", "31"} <= set(excluded)
    assert len(excluded) <= 6
    assert "black: a mean of 5" in excluded["31"]  # two per cent of the others
    assert "4 pixels are NaN" in excluded["21"]
    assert "black: a mean of 0" in excluded["4"]


def test_align_tilts_leaves_what_tomogram_takes(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    path = write_movies(root / "in", "ts", noise_free, dose=200, frames=2)
    params = AlignTiltsParameters(thickness=32, exclude_views="1")
    item, context = item_of(path, root), make_context("align")
    result = AlignTilts().process(item, params, context)
    assert mrcfile.read(result.products["tilts"]).shape == (20, 96, 128)
    merged = AlignTilts().finish([Done(item, result.products, result.figures)], params, context)
    row = read_star(merged.products["star"])["global"].columns
    assert row["rlnTomoTiltSeriesStarFile"] == ["align/tilt_series/ts.star"]
    assert row["rlnTomoTiltSeriesPixelSize"] == ["10"]
    report = merged.products["report"].read_text()
    assert 'src="alignments/ts.png"' in report
    assert "http" not in report
    taken = make(path, root, make_context("job"), alignment=root / "align/alignments", exclude_views="1")
    assert taken.figures["alignment_from"] == str(root / "align/alignments/ts.xf")
    assert taken.figures["tilt_axis"] == pytest.approx(result.figures["tilt_axis"], abs=1e-3)


def test_local_shifts_go_the_whole_way_and_back(root: Path, make_context: Callable[..., Context]) -> None:
    """Found, written, used in the one interpolation; taken from the STAR file and from the folder alike."""
    bent = simulate_series("cytosol", replace(PLAN, shape=(160, 192), depth=48, bend=5.0, dose=30.0), seed=1)
    path = write_stack(root / "in", "ts", bent)
    options = {"tilt_axis": PLAN.axis, "axis_search": False, "offset_search": False}
    found = make(path, root, make_context("job"), local=(3, 3), **options)
    assert float(found.figures["local_shift"]) > 5  # type: ignore[arg-type]  # Å
    assert found.products["local"].name == "ts_local.star"
    star = make(found.products["tilt_series"], root, make_context("star"), pixel_size=10)
    assert star.figures["alignment_from"] == "the STAR file"
    folder = root / "job/alignments"
    beside = make(path, root, make_context("folder"), alignment=folder, pixel_size=10)
    for again in (star, beside):
        assert np.corrcoef(density(again).ravel(), density(found).ravel())[0, 1] > 0.9999
    found.products["local"].unlink()
    without = make(path, root, make_context("without"), alignment=folder, pixel_size=10)
    assert np.corrcoef(density(without).ravel(), density(found).ravel())[0, 1] < 0.95


def ctffind_lines(views: int) -> str:
    return "# made for a test\n" + "".join(
        f"{v + 1} {60000 + 10 * v} {59000 + 10 * v} 30 0 0.1 12\n" for v in range(views)
    )


def warp_xml(angles: np.ndarray) -> str:
    nodes = "".join(f'<Node Z="{z}" Value="{5.95 + 0.001 * z:.4f}"/>' for z in range(len(angles)))
    tilts = "\n".join(str(-angle) for angle in angles)  # Warp's sense is the opposite
    delta = '<GridCTFDefocusDelta><Node Z="0" Value="0.1"/></GridCTFDefocusDelta>'
    doses = "\n".join(str(2 * number + 5) for number in range(len(angles)))
    return f"<TiltSeries><Angles>{tilts}</Angles><Dose>{doses}</Dose><GridCTF>{nodes}</GridCTF>{delta}</TiltSeries>"


@pytest.mark.parametrize("ending", ["_ctffind.txt", "_CTF.txt", ".xml"])
def test_the_ctf_is_corrected_with_the_defocus_of_each_view(
    ending: str,
    root: Path,
    noise_free: SimulatedSeries,
    make_context: Callable[..., Context],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    path = write_stack(root / "in", "ts", noise_free)
    true_alignment(root / "in", noise_free)
    if ending == ".xml":  # its sense is told by the doses: the angles are the same both ways
        sections = "".join(
            f"[ZValue = {z}]\nTiltAngle = {a}\nPriorRecordDose = {2.0 * z}\n" for z, a in enumerate(noise_free.angles)
        )
        (root / "in/ts.mdoc").write_text(f"Voltage = 300\n{sections}")
    text = warp_xml(noise_free.angles) if ending == ".xml" else ctffind_lines(21)
    (root / f"in/ts{ending}").write_text(text)
    options = {"defocus": root / "in", "voltage": 300, "handedness": -1}
    result = make(path, root, make_context("job"), ctf="phase-flip", **options)
    assert result.figures["handedness"] == -1
    assert "hand" in str(result.figures["handedness_check"])
    star = next(iter(read_star(result.products["tilt_series"]).values())).columns
    assert [float(value) for value in star["rlnDefocusU"]] == [60000 + 10 * view for view in range(21)]
    assert [float(value) for value in star["rlnDefocusV"]] == [59000 + 10 * view for view in range(21)]
    plain = make(path, root, make_context("plain"), **options)
    assert np.corrcoef(density(result).ravel(), density(plain).ravel())[0, 1] < 0.999
    (root / f"in/ts{ending}").write_text(warp_xml(noise_free.angles[:15]) if ending == ".xml" else ctffind_lines(20))
    with pytest.raises(InputError, match=r"20 views, numbered to 20, for 21|no tilt at 30 degrees"):
        make(path, root, make_context("bad"), ctf="wiener", **options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"halves": "frames"}, "no even and odd frames"),
        ({"dose_weighting": True, "voltage": 300}, "the dose before each view isn't known"),
        ({"dose_weighting": True}, "the voltage; give it"),
        ({"ctf": "wiener", "handedness": 1, "voltage": 300}, "no defocus of section 1"),
        ({"ctf": "wiener", "voltage": 300}, "the handedness, which hangs on"),
        ({"alignment": Path("nowhere")}, "neither ts.xf with ts.tlt nor ts.aln"),
        ({"defocus": Path("nowhere")}, "ts_CTF.txt"),
    ],
)
def test_what_is_lacking_is_said_in_one_line(
    options: dict[str, object],
    expected: str,
    root: Path,
    noise_free: SimulatedSeries,
    make_context: Callable[..., Context],
) -> None:
    path = write_stack(root / "in", "ts", noise_free)
    true_alignment(root / "in", noise_free)
    with pytest.raises(InputError, match=expected) as raised:
        make(path, root, make_context("job"), **options)
    assert "\n" not in str(raised.value)


def test_movies_of_two_sizes_are_refused(
    root: Path, noise_free: SimulatedSeries, make_context: Callable[..., Context]
) -> None:
    path = write_movies(root / "in", "ts", noise_free, dose=200, frames=2)
    odd = sorted((root / "in/frames").iterdir())[3]
    with mrcfile.new(odd, overwrite=True) as file:
        file.set_data(np.ones((2, 80, 128), np.uint16))
    with pytest.raises(InputError, match=r"is 128 x 80 pixels, ts_.* 128 x 96; .*--exclude-views"):
        make(path, root, make_context("job"))


def test_a_stack_shorter_than_its_description_is_refused(root: Path, noise_free: SimulatedSeries) -> None:
    path = write_stack(root / "in", "ts", noise_free)
    series = _series(path)
    write_stack(root / "in", "ts", SimulatedSeries(**{**vars(noise_free), "tilts": noise_free.tilts[:5]}))
    with pytest.raises(InputError, match="section 6 of 5"):
        TiltImages(series)
