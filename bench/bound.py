"""What the estimator would reach if it had all the information in a movie, up to the Nyquist limit.

The likelihood is made from the truth: spectrum of the noise-free specimen, damage and blur of each frame, the true
motion, and noise drawn with the covariance that the information implies. The same prior and the same choice of its
strengths then give a motion, which is scored as a program's is. No strict bound, as a prior is in it: what an
estimator of this family can do for this motion on average.
"""

import numpy as np
from numpy.typing import NDArray

from pypcore.motion.patches import Evidence, Signal, choose_patches
from pypcore.motion.prior import Layout, Strengths
from pypcore.motion.strengths import choose
from pypcore.simulate.movie import Truth
from pypcore.simulate.physics import critical_exposure
from pypcore.simulate.score import MotionScore, scoring_points

Array = NDArray[np.float64]

_DRAWS = 6
_TILE = 512


def bound(truth: Truth) -> float:
    """Return the rms static error in Å that is to be expected, a mean over draws of the noise."""
    motion, exposure = truth.motion, truth.exposure
    height, width = motion.shape
    pixel = exposure.pixel_size
    nx, ny = choose_patches(height, width, pixel)
    ys, xs = (np.linspace(0, n - 1, m) for n, m in ((height, ny), (width, nx)))
    places = np.stack(np.meshgrid(ys, xs, indexing="ij"), -1).reshape(-1, 2)
    # Windows at the rim lie half outside.
    share = np.outer(*(np.where((np.arange(m) % (m - 1)) == 0, 0.5, 1.0) for m in (ny, nx))).ravel()
    true = motion.on_grid(ys, xs).reshape(motion.n_frames, 2, -1).transpose(2, 0, 1) * pixel  # [P, T, 2], Å
    information = _information(truth, height * width / ((ny - 1) * (nx - 1)))
    exposures = (np.arange(motion.n_frames) + 0.5) * exposure.dose
    layout = Layout(exposures, places, float(max(motion.shape)), local=True)
    values, vectors = np.linalg.eigh(information)
    root = vectors * np.sqrt(np.maximum(values, 0))
    rng = np.random.default_rng(0)
    points = scoring_points(motion.shape)
    scored = np.array([(y, x) for y in points[0] for x in points[1]])
    errors = []
    for _ in range(_DRAWS):
        noise = np.sqrt(share)[:, None, None] * np.einsum("tu,puc->ptc", root, rng.standard_normal(true.shape))
        pull = share[:, None, None] * np.einsum("tu,puc->ptc", information, true) + noise
        data = Evidence(pull, information, share, Signal(np.zeros(1), np.ones(len(places))))
        fit = choose(layout, Strengths(), data, np.zeros_like(true))
        found = (fit.whole_at(exposures) + fit.local_at(exposures, scored)) / pixel  # [N, T, 2]
        grid = found.transpose(1, 2, 0).reshape(motion.n_frames, 2, points[0].size, points[1].size)
        errors.append(MotionScore.of(grid, motion, exposure).static)
    return float(np.mean(errors))


def _information(truth: Truth, area: float) -> Array:
    """Return J [T, T] per Å² and axis of ``area`` px: see ``pypcore.motion.patches``."""
    exposure, motion = truth.exposure, truth.motion
    pixel = exposure.pixel_size
    k, spectrum = _spectrum(truth.ideal)  # cycles/px
    snr = spectrum * exposure.dose * pixel**2  # contrast of a Poisson rate, over its noise
    cosines = np.cos((np.arange(16) + 0.5) * np.pi / 32)
    speed = np.array([np.hypot(*motion.blur(t)) for t in range(motion.n_frames)])
    left = np.sinc(np.multiply.outer(np.multiply.outer(speed, k), cosines)).mean(-1)
    if exposure.fading:
        doses = np.array([exposure.accumulated(t) for t in range(motion.n_frames)])
        left *= np.exp(-doses[:, None] / (2 * critical_exposure(k / pixel, exposure.voltage)))
    count = area * np.pi * k * np.gradient(k)  # coefficients of half the plane
    weight = count * snr**2 / (1 + snr * (left**2).sum(0)) * (2 * np.pi * k / pixel) ** 2
    information: Array = -(left**2 * weight) @ (left**2).T
    np.fill_diagonal(information, 0)
    np.fill_diagonal(information, -information.sum(1))
    return information


def _spectrum(ideal: NDArray[np.float32]) -> tuple[Array, Array]:
    """Return rings (cycles/px) up to Nyquist, and the mean power per pixel of the contrast in them."""
    window = np.outer(*[np.hanning(_TILE)] * 2)
    ky, kx = np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None]
    ring = np.rint(np.hypot(ky, kx) * _TILE).astype(int)
    total, tiles = np.zeros(ring.shape), 0
    for y in range(0, ideal.shape[0] - _TILE + 1, _TILE):
        for x in range(0, ideal.shape[1] - _TILE + 1, _TILE):
            cut = ideal[y : y + _TILE, x : x + _TILE].astype(float)
            total += np.abs(np.fft.rfft2((cut - cut.mean()) * window)) ** 2
            tiles += 1
    power = np.bincount(ring.ravel(), total.ravel()) / np.bincount(ring.ravel())
    rings = np.arange(2, _TILE // 2)
    return rings / _TILE, power[rings] / (tiles * (window**2).sum())
