"""Tomograms against the truth: geometry, scale, halves; and that nothing but the request changes them."""

from dataclasses import replace

import numpy as np
import pytest

from pypcore.errors import InputError, UsageError
from pypcore.simulate.tomogram_score import TomogramScore
from pypcore.tilts.alignment import LocalShifts, TiltAlignment
from pypcore.tomogram.reconstruct import Reconstruction, Tomogram, reconstruct
from pypcore.tomogram.settings import TomogramSettings

ANGLES = np.arange(-60, 61, 4.0)
SHAPE = (32, 70, 96)  # z, y, x
BOX = (22, 60, 72)  # where the blobs are
PLAIN = TomogramSettings(SHAPE, cutoff=0.5, falloff=0)


def straight(**changes) -> TiltAlignment:
    return replace(TiltAlignment.of_axis(ANGLES, 0.0, None, SHAPE[1:], 10.0), **changes)


def score(truth: np.ndarray, found: np.ndarray) -> float:
    return TomogramScore.of(truth, found, 60).correlation


def same(a: Tomogram, b: Tomogram) -> bool:
    pairs = zip((a.volume, a.half1, a.half2), (b.volume, b.half1, b.half2), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs if x is not None)


def in_slabs(tilts: np.ndarray, alignment: TiltAlignment, settings: TomogramSettings, memory: int, **more) -> Tomogram:
    work = Reconstruction(alignment, settings, memory=memory, **more)
    volumes = [np.full(settings.shape, np.nan, np.float32) for _ in range(1 if settings.halves == "none" else 3)]
    slabs = 0
    for slab in work.slabs(tilts):
        for volume, part in zip(volumes, (slab.volume, slab.half1, slab.half2), strict=False):
            volume[slab.z, slab.y] = part
        slabs += 1
    assert slabs > 1
    return Tomogram(*(volumes if len(volumes) == 3 else (volumes[0], None, None)), work.voxel_size)


def test_a_tomogram_is_like_the_truth_and_unlike_its_mirror_image(specimen) -> None:
    blobs = specimen(BOX)
    truth = blobs.volume(SHAPE)
    found = reconstruct(blobs.tilts(straight()), straight(), PLAIN)
    assert found.voxel_size == 10
    assert score(truth, found.volume) > 0.97
    for axis in range(3):
        assert score(truth, np.flip(found.volume, axis)) < 0.4


def test_projections_of_the_tomogram_have_the_contrast_of_the_tilts(specimen) -> None:
    """The scale: what the wedge keeps of a wide blob is near its density, however thick the volume is made."""
    blobs = specimen((1, 1, 1), count=1, sigma=4.0)
    tilts = blobs.tilts(straight())
    truth = blobs.volume(SHAPE)
    peaks = []
    for thickness in (16, 32, 64):
        found = reconstruct(tilts, straight(), replace(PLAIN, shape=(thickness, *SHAPE[1:]))).volume
        peaks.append(float(found[thickness // 2, 34:36, 46:50].mean()))
    assert np.ptp(peaks) < 0.01 * peaks[0]
    wedge = 120 / 180
    assert 0.8 * wedge < peaks[1] / truth[16, 34:36, 46:50].mean() < 1.1 * wedge


def test_axis_shifts_and_a_bent_field_make_no_difference(specimen) -> None:
    """Every distortion is taken out by the one interpolation."""
    blobs = specimen(BOX)
    rng = np.random.default_rng(0)
    field = (140, 140)
    shifts = rng.normal(0, 6, (ANGLES.size, 2))
    bent = LocalShifts(rng.normal(0, 1.5, (ANGLES.size, 2, 3, 4)))
    plain = TiltAlignment.of_axis(ANGLES, 0.0, None, field, 10.0)
    expected = reconstruct(blobs.tilts(plain), plain, PLAIN).volume
    turned = TiltAlignment.of_axis(ANGLES, 85.3 + rng.normal(0, 0.5, ANGLES.size), shifts, field, 10.0)
    stretched = replace(turned, matrices=turned.matrices * np.array([[1.01], [0.985]]))
    for alignment, least in ((turned, 0.9999), (stretched, 0.9999), (replace(turned, local=bent), 0.995)):
        found = reconstruct(blobs.tilts(alignment), alignment, PLAIN).volume
        assert score(expected, found) > least


@pytest.mark.parametrize("binning", [2, 2.5, 4])
def test_binning_keeps_the_density_and_the_place(specimen, binning: float) -> None:
    blobs = specimen(BOX)
    raw = tuple(int(n * binning) + 17 for n in (120, 110))
    alignment = TiltAlignment.of_axis(ANGLES, 85.3, np.full((ANGLES.size, 2), 7.3), raw, 2.0)
    tilts = blobs.tilts(alignment, magnify=binning)
    found = reconstruct(tilts, alignment, replace(PLAIN, binning=binning))
    truth = blobs.volume(SHAPE)
    assert found.voxel_size == 2.0 * binning
    assert score(truth, found.volume) > 0.97
    unbinned = reconstruct(blobs.tilts(straight()), straight(), PLAIN).volume
    assert np.abs(found.volume - unbinned)[4:-4, 6:-6, 8:-8].max() < 0.06 * np.abs(unbinned).max()


@pytest.mark.parametrize("method", ["wbp", "sirt"])
def test_offset_moves_the_volume(specimen, method: str) -> None:
    blobs = specimen(BOX)
    large = TiltAlignment.of_axis(ANGLES, 0.0, None, (90, 130), 10.0)
    settings = replace(PLAIN, method=method, iterations=15, subsets=4)
    moved = replace(settings, offset=(4.0, -3.0, 6.5))
    found = reconstruct(blobs.tilts(large), large, moved).volume
    assert score(blobs.volume(SHAPE, moved.offset), found) > 0.94


@pytest.mark.parametrize(("method", "x_tilt"), [("wbp", 7.0), ("wbp", -3.0), ("sirt", 5.0)])
def test_tilt_about_x_and_a_tilt_offset_are_made_good(specimen, method: str, x_tilt: float) -> None:
    blobs = specimen(BOX)
    tilted = TiltAlignment.of_axis(ANGLES + 2.5, 85.3, None, (130, 130), 10.0)
    tilted = replace(tilted, x_tilt=x_tilt, angle_offset=-2.5)
    settings = replace(PLAIN, method=method, iterations=15, subsets=4)
    tilts, truth = blobs.tilts(tilted), blobs.volume(SHAPE)
    assert score(truth, reconstruct(tilts, tilted, settings).volume) > (0.96 if method == "wbp" else 0.93)
    assert score(truth, reconstruct(tilts, replace(tilted, x_tilt=-x_tilt), settings).volume) < 0.9


@pytest.mark.parametrize("x_tilt", [0.0, 4.0])
@pytest.mark.parametrize("method", ["wbp", "sirt"])
def test_neither_threads_nor_memory_change_a_byte(specimen, method: str, x_tilt: float) -> None:
    tall = (40, 150, 96)
    alignment = replace(TiltAlignment.of_axis(ANGLES, 3.0, None, tall[1:], 10.0), x_tilt=x_tilt)
    settings = replace(PLAIN, shape=tall, method=method, iterations=2, halves="tilts")
    tilts = specimen((30, 140, 80)).tilts(alignment)
    one = reconstruct(tilts, alignment, settings, threads=1)
    assert same(one, reconstruct(tilts, alignment, settings, threads=3))
    assert same(one, in_slabs(tilts, alignment, settings, memory=1, threads=2))


@pytest.mark.parametrize("weighting", ["ramp", "exact", "sirt-like", "none"])
def test_halves_of_tilts_add_up_to_the_whole(specimen, weighting: str) -> None:
    blobs = specimen(BOX)
    settings = replace(PLAIN, weighting=weighting, halves="tilts")
    halves = reconstruct(blobs.tilts(straight()), straight(), settings)
    whole = reconstruct(blobs.tilts(straight()), straight(), replace(settings, halves="none")).volume
    assert np.allclose(halves.half1 + halves.half2, halves.volume, atol=1e-5 * np.abs(whole).max())
    assert np.allclose(whole, halves.volume, atol=1e-5 * np.abs(whole).max())
    assert not np.allclose(halves.half1, halves.half2, atol=0.01 * np.abs(whole).max())


def test_halves_of_frames_add_up_to_the_whole(specimen) -> None:
    tilts = specimen(BOX).tilts(straight())
    noise = np.random.default_rng(1).normal(0, tilts.std(), tilts.shape).astype(np.float32)
    odd, even = tilts / 2 + noise, tilts / 2 - noise
    found = reconstruct(odd, straight(), replace(PLAIN, halves="frames"), second=even)
    whole = reconstruct(tilts, straight(), PLAIN).volume
    assert np.allclose(found.volume, whole, atol=1e-4 * np.abs(found.half1).max())
    assert np.array_equal(found.half1, reconstruct(odd, straight(), PLAIN).volume)
    assert np.array_equal(found.half2, reconstruct(even, straight(), PLAIN).volume)


def test_tilts_left_out_and_their_order_do_not_matter(specimen) -> None:
    tilts = specimen(BOX).tilts(straight())
    spoiled = tilts.copy()
    spoiled[[3, 20]] = np.nan
    kept = np.setdiff1d(np.arange(ANGLES.size), [3, 20])
    expected = reconstruct(tilts[kept], straight().select(kept), PLAIN)
    assert same(expected, reconstruct(spoiled, straight().leave_out([3, 20]), PLAIN))
    order = np.random.default_rng(5).permutation(kept)
    assert same(expected, reconstruct(tilts[order], straight().select(order), PLAIN))


@pytest.mark.parametrize(("normalise", "scale"), [("mean", 100.0), ("deviation", None)])
def test_normalised_tilts_may_differ_in_brightness(specimen, normalise: str, scale: float | None) -> None:
    tilts = specimen(BOX).tilts(straight())
    tilts += 100 - tilts.mean((1, 2), keepdims=True)
    bright = tilts * np.random.default_rng(2).uniform(0.5, 2, (len(tilts), 1, 1)).astype(np.float32)
    settings = replace(PLAIN, normalise=normalise)
    found = reconstruct(bright, straight(), settings).volume
    assert np.allclose(found, reconstruct(tilts, straight(), settings).volume, atol=1e-3 * np.abs(found).max())
    if scale:
        plain = reconstruct(tilts, straight(), PLAIN).volume
        assert np.allclose(found * scale, plain, atol=1e-3 * np.abs(plain).max())


def test_sirt_fits_the_tilts_better_with_every_iteration_and_stays_positive_if_asked(specimen) -> None:
    blobs = specimen(BOX)
    tilts, truth = blobs.tilts(straight()), blobs.volume(SHAPE)
    tilts += 5  # a background: the mean that is taken off makes what is empty negative
    few, many = (
        score(truth, reconstruct(tilts, straight(), replace(PLAIN, method="sirt", iterations=n)).volume)
        for n in (2, 25)
    )
    assert few < many > 0.88
    positive = replace(PLAIN, method="sirt", iterations=25, nonnegative=True)
    assert reconstruct(tilts, straight(), positive).volume.min() == 0
    sart = replace(PLAIN, method="sirt", iterations=3, subsets=31, relaxation=0.3)
    assert score(truth, reconstruct(tilts, straight(), sart).volume) > 0.9


def test_a_tomogram_of_one_tilt_is_that_tilt_smeared(specimen) -> None:
    tilts = specimen(BOX).tilts(straight())
    middle = len(ANGLES) // 2
    only = straight().select([middle])
    found = reconstruct(tilts[[middle]], only, replace(PLAIN, weighting="none")).volume
    expected = (tilts[middle] - tilts[middle].mean()) / SHAPE[0]
    assert np.allclose(found, np.broadcast_to(expected, SHAPE), atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda t: t[:, :-1], "96 x 69 pixels"),
        (lambda t: np.where(np.arange(96) == 5, np.nan, t), "NaN"),
    ],
)
def test_a_tilt_that_cannot_be_used_is_named(specimen, change, what: str) -> None:
    tilts = list(specimen(BOX, count=5).tilts(straight()))
    tilts[4] = change(tilts[4][None])[0]
    with pytest.raises(InputError, match=rf"tilt 5.*{what}"):
        reconstruct(tilts, straight(), PLAIN)


def test_requests_that_make_no_sense_are_refused(specimen) -> None:
    tilts = np.zeros((ANGLES.size, *SHAPE[1:]), np.float32)
    for wrong in ({"shape": (0, 4, 4)}, {"binning": 0.5}, {"cutoff": 0.7}, {"iterations": 0}, {"relaxation": 2.0}):
        with pytest.raises(UsageError, match="tomogram"):
            replace(PLAIN, **wrong)
    with pytest.raises(UsageError, match="two stacks"):
        reconstruct(tilts, straight(), replace(PLAIN, halves="frames"))
    with pytest.raises(UsageError, match="without defocus"):
        reconstruct(tilts, straight(), replace(PLAIN, ctf="wiener"))
    with pytest.raises(InputError, match="left out"):
        reconstruct(tilts, straight().leave_out(np.arange(ANGLES.size)), PLAIN)
    with pytest.raises(InputError, match="3 exposures"):
        reconstruct(tilts, straight(), PLAIN, exposures=np.ones(3))
    with pytest.raises(InputError, match="its mean is 0"):
        reconstruct(tilts, straight(), replace(PLAIN, normalise="mean"))
