"""Local shifts in their file: what is written is what is read, and nothing is taken for another series'."""

from pathlib import Path

import numpy as np
import pytest

from pypcore.errors import InputError
from pypcore.formats.local_shifts import read_local, write_local
from pypcore.formats.tilt_alignment import read_alignment, write_xf_and_tlt
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.tilts.alignment import LocalShifts, TiltAlignment

ANGLES = np.array([-30.0, -10, 10, 30])
USED = np.array([True, True, False, True])
SHAPE, PIXEL = (300, 400), 2.5


@pytest.fixture
def series() -> TiltSeries:
    views = tuple(View(file=Path("ts.st"), section=n, angle=float(angle)) for n, angle in enumerate(ANGLES))
    return TiltSeries(Path("ts.st"), views, PIXEL, 85.0, 300.0)


@pytest.fixture
def alignment() -> TiltAlignment:
    rng = np.random.default_rng(1)
    whole = TiltAlignment.of_axis(ANGLES, 85.0, rng.normal(0, 9, (4, 2)), SHAPE, PIXEL)
    nodes = rng.normal(0, 3, (4, 2, 5, 7)) * USED[:, None, None, None]
    return TiltAlignment(whole.angles, whole.matrices, whole.shifts, SHAPE, PIXEL, used=USED, local=LocalShifts(nodes))


def test_what_is_written_is_read(tmp_path: Path, series: TiltSeries, alignment: TiltAlignment) -> None:
    write_xf_and_tlt(tmp_path / "ts.xf", tmp_path / "ts.tlt", series, alignment)
    write_local(tmp_path / "ts_local.star", series, alignment)
    assert alignment.local is not None
    read = read_local(tmp_path / "ts_local.star", ANGLES, USED, SHAPE, PIXEL)
    assert read.nodes == pytest.approx(alignment.local.nodes, abs=1e-4)
    beside = read_alignment(tmp_path / "ts.xf", series.without({2: "dark"}), SHAPE, PIXEL)
    assert beside.local is not None
    point = np.array([100.0, 50.0])
    assert beside.to_raw(3, point) == pytest.approx(alignment.to_raw(3, point), abs=1e-2)
    assert (tmp_path / "ts_local.star").read_text().count("\n") > 3 * 5 * 7


@pytest.mark.parametrize(
    ("angles", "shape", "says"),
    [(ANGLES + 1, SHAPE, "no local shifts of the view at -29"), (ANGLES, SHAPE[::-1], "300 x 400")],
    ids=["another series", "another size"],
)
def test_those_of_another_series_are_refused(
    tmp_path: Path, series: TiltSeries, alignment: TiltAlignment, angles: np.ndarray, shape: tuple[int, int], says: str
) -> None:
    write_local(tmp_path / "ts_local.star", series, alignment)
    with pytest.raises(InputError, match=says):
        read_local(tmp_path / "ts_local.star", angles, USED, shape, PIXEL)


def test_another_star_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ts_local.star").write_text("data_general\n\n_rlnImageSizeX 4\n")
    with pytest.raises(InputError, match="not local shifts"):
        read_local(tmp_path / "ts_local.star", ANGLES, USED, SHAPE, PIXEL)
