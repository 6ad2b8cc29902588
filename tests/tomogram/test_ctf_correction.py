"""CTF correction by depth, and finding the hand."""

from dataclasses import replace

import numpy as np
import pytest

from pypcore.errors import InputError, UsageError
from pypcore.simulate.tomogram_score import TomogramScore
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.ctf import TiltCtf, defocus_step
from pypcore.tomogram.reconstruct import Reconstruction, reconstruct
from pypcore.tomogram.settings import TomogramSettings

ANGLES = np.arange(-60, 61, 6.0)
SHAPE = (40, 64, 256)
PIXEL = 1.0  # Å: fine enough for the defocus across the field to matter
SETTINGS = TomogramSettings(SHAPE, cutoff=0.45, falloff=0)


def same_for_all(defocus_u: float, defocus_v: float, angle: float = 0.0) -> TiltCtf:
    ones = np.ones(ANGLES.size)
    return TiltCtf(defocus_u * ones, defocus_v * ones, angle * ones, 0 * ones)


def with_ctf(blobs, alignment: TiltAlignment, ctf: TiltCtf, hand: int) -> np.ndarray:
    """Return the tilts [T, y, x] as a microscope of that hand shows them, in layers of 10 voxels."""
    (height, width), pixel = alignment.image_shape, alignment.pixel_size
    ky, kx = np.fft.fftfreq(height)[:, None] / pixel, np.fft.rfftfreq(width)[None, :] / pixel
    tilts = np.zeros((len(alignment), height, width), np.float32)
    for t in range(len(alignment)):
        layer = np.rint(blobs.depths(alignment, t) / 10)
        spectrum = 0
        for which in np.unique(layer):
            image = blobs.image(alignment, t, where=layer == which)
            spectrum = spectrum + np.fft.rfft2(image) * ctf.at(t, kx, ky, less=hand * which * 10 * pixel)
        tilts[t] = np.fft.irfft2(spectrum, (height, width))
    return tilts


@pytest.fixture
def blobs(specimen):
    return specimen((30, 54, 230), count=300, sigma=0.8)


@pytest.mark.parametrize(("method", "hand"), [("wbp", 1), ("wbp", -1), ("sirt", -1)])
def test_the_right_hand_gives_the_better_tomogram(blobs, method: str, hand: int) -> None:
    alignment = TiltAlignment.of_axis(ANGLES, 0.0, None, SHAPE[1:], PIXEL)
    ctf = same_for_all(4000, 4000)
    tilts, truth = with_ctf(blobs, alignment, ctf, hand), blobs.volume(SHAPE)

    def score(correction: str, asked: int) -> float:
        settings = replace(SETTINGS, ctf=correction, ctf_hand=asked, method=method, iterations=6, subsets=5)
        found = reconstruct(tilts, alignment, settings, ctf=ctf).volume
        return TomogramScore.of(truth, found, 60).correlation

    flipped = score("phase-flip", hand)
    assert flipped > score("phase-flip", -hand) + 0.01
    assert flipped > score("none", hand) + 0.1
    assert score("wiener", hand) > flipped - 0.02


@pytest.mark.parametrize("hand", [1, -1])
def test_the_images_tell_the_hand(specimen, hand: int) -> None:
    alignment = TiltAlignment.of_axis(ANGLES, 85.3, None, (256, 256), 2.0)
    ctf = same_for_all(9500, 8500, 30)
    tilts = with_ctf(specimen((50, 110, 220), count=500, sigma=0.9), alignment, ctf, hand)
    tilts += np.random.default_rng(0).normal(0, 0.5 * tilts.std(), tilts.shape).astype(np.float32)
    for asked in (1, -1):
        settings = replace(SETTINGS, shape=(40, 220, 256), ctf="phase-flip", ctf_hand=asked)
        work = Reconstruction(alignment, settings, ctf=ctf)
        check = work.check_hand(tilts)
        assert np.sign(check.sigma) == asked * hand
        assert abs(check.sigma) > 3
        assert ("agrees" in check.verdict) == (asked == hand)


def test_astigmatism_turns_with_the_image(blobs) -> None:
    """The same astigmatism in the raw frame, whatever the tilt axis: corrected with the wrong angle it is worse."""
    alignment = TiltAlignment.of_axis(ANGLES, 60.0, None, (256, 256), PIXEL)
    ctf = same_for_all(5000, 3000, 20)
    tilts, truth = with_ctf(blobs, alignment, ctf, 1), blobs.volume(SHAPE)
    settings = replace(SETTINGS, ctf="phase-flip")
    right = reconstruct(tilts, alignment, settings, ctf=ctf).volume
    wrong = reconstruct(tilts, alignment, settings, ctf=replace(ctf, angle=ctf.angle + 90)).volume
    right_score, wrong_score = (TomogramScore.of(truth, v, 60).correlation for v in (right, wrong))
    assert right_score > wrong_score + 0.1


def test_slabs_and_what_is_kept_of_them_do_not_change_the_result(blobs) -> None:
    alignment = TiltAlignment.of_axis(ANGLES, 0.0, None, SHAPE[1:], PIXEL)
    ctf = same_for_all(4000, 4000)
    tilts = with_ctf(blobs, alignment, ctf, 1)
    settings = replace(SETTINGS, ctf="phase-flip", halves="tilts")
    volumes = []
    for memory, threads in ((1 << 33, 1), (1, 2)):
        work = Reconstruction(alignment, settings, ctf=ctf, memory=memory, threads=threads)
        assert 1 < work.depth < SHAPE[0]
        assert work.plan.depths == (1 if memory == 1 else -(-SHAPE[0] // work.depth))
        volume = np.empty(SHAPE, np.float32)
        for slab in work.slabs(tilts):
            volume[slab.z, slab.y] = slab.volume
        volumes.append(volume)
    assert np.array_equal(*volumes)


def test_the_ctf_is_the_fields() -> None:
    ctf = same_for_all(20000, 20000)
    assert np.isclose(ctf.wavelength, 0.01969, atol=1e-5)
    zero, k = np.zeros(1), np.array([0.05])
    assert np.isclose(ctf.at(0, zero, zero)[0], 0.07)
    chi = np.pi * 0.0196876 * 20000 * 0.05**2 - np.pi / 2 * 2.7e7 * 0.0196876**3 * 0.05**4 + np.arcsin(0.07)
    assert np.isclose(ctf.at(0, k, zero)[0], np.sin(chi), atol=1e-4)
    assert np.isclose(ctf.at(0, k, zero, less=20000)[0], same_for_all(0, 0).at(0, k, zero)[0])
    step = defocus_step(ctf, 4.0, 0.4)
    assert np.isclose(np.pi * ctf.wavelength * 0.1**2 * step / 2, np.pi / 8)
    bent = same_for_all(22000, 18000, 30)
    along = 0.05 * np.array([np.cos(np.pi / 6)]), 0.05 * np.array([np.sin(np.pi / 6)])
    assert np.isclose(bent.at(0, *along)[0], same_for_all(22000, 22000).at(0, k, zero)[0])


def test_what_is_wrong_with_a_ctf_is_said() -> None:
    with pytest.raises(InputError, match="lists of"):
        TiltCtf(np.ones(3), np.ones(2), np.ones(3), np.ones(3))
    with pytest.raises(InputError, match="defocus_v of tilt 2"):
        TiltCtf(np.ones(3), np.array([1, np.nan, 1]), np.ones(3), np.ones(3))
    flat = TiltAlignment.of_axis([-5.0, 0, 5], 0.0, None, SHAPE[1:], PIXEL)
    ctf = same_for_all(4000, 4000).select(np.arange(3))
    with pytest.raises(InputError, match="no tilt beyond 15"):
        Reconstruction(flat, replace(SETTINGS, ctf="wiener"), ctf=ctf).check_hand(np.zeros((3, *SHAPE[1:]), np.float32))
    with pytest.raises(UsageError, match="hand is checked where"):
        Reconstruction(flat, SETTINGS).check_hand(np.zeros((3, *SHAPE[1:]), np.float32))
