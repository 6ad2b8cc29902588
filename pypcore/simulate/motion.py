"""Motion that is known because it was chosen."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline

Array = NDArray[np.float64]

_GRID = 17
"""Points of the local field along each axis. The cubic spline through them IS the truth: nothing is lost."""


@dataclass(frozen=True)
class KnownMotion:
    """Displacement of the specimen, d_t(x), in unbinned px, components in the order (y, x).

    The feature at x in the first frame is found at x + d_t(x) in frame t, at the middle of the frame's
    exposure. RELION's shift is -d.
    """

    shape: tuple[int, int]  # height and width of the frame, px
    whole: Array  # [frame, (y, x)]: mean over the frame
    local: Array  # [frame, (y, x), grid y, grid x]: difference from it, at points evenly from edge to edge
    within: Array | None = None  # [frame, (y, x)]: way gone during each exposure; None: as fast as between frames

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.whole)

    @property
    def grid(self) -> tuple[Array, Array]:
        """Where ``local`` is given: y and x of its points, px."""
        height, width = self.shape
        return np.linspace(0, height - 1, self.local.shape[2]), np.linspace(0, width - 1, self.local.shape[3])

    def at(self, frame: int, ys: ArrayLike, xs: ArrayLike) -> Array:
        """Displacement [(y, x), ...] at points of the first frame; beyond its edges, that of the edge."""
        points = np.broadcast_arrays(np.asarray(ys, float), np.asarray(xs, float))
        local = np.stack([spline.ev(*points) for spline in self._splines[frame]])
        return local + self.whole[frame].reshape(2, *[1] * points[0].ndim)

    def on_grid(self, ys: ArrayLike, xs: ArrayLike) -> Array:
        """Displacement [frame, (y, x), len(ys), len(xs)] at each y and each x."""
        local = np.array([[spline(ys, xs) for spline in pair] for pair in self._splines])
        return local + self.whole[:, :, None, None]

    def origins(self, frame: int, ys: Array, xs: Array) -> Array:
        """Where in the first frame the points seen in ``frame`` come from: x with x + d_t(x) = (ys, xs).

        Fixed-point iteration; the field's gradient is 0.01 or less, so each round gains two digits.
        """
        seen = np.stack([ys, xs])
        origins = seen
        for _ in range(5):
            origins = seen - self.at(frame, *origins)
        return origins

    def blur(self, frame: int) -> Array:
        """How far (y, x) the whole specimen goes during the exposure of ``frame``, px."""
        return self._velocity[frame]

    @cached_property
    def _velocity(self) -> Array:
        if self.within is not None:
            return self.within
        return np.gradient(self.whole, axis=0) if self.n_frames > 1 else np.zeros((1, 2))

    @cached_property
    def _splines(self) -> list[list[RectBivariateSpline]]:
        return [[RectBivariateSpline(*self.grid, plane) for plane in planes] for planes in self.local]


def whole_frame_motion(displacements: ArrayLike, shape: tuple[int, int]) -> KnownMotion:
    """Motion by ``displacements`` [frame, (y, x)] px of the frame as a whole; nothing local."""
    whole = np.array(displacements, float)
    return KnownMotion(shape, whole, np.zeros((len(whole), 2, 4, 4)))


def typical_motion(
    shape: tuple[int, int],
    n_frames: int,
    *,
    pixel_size: float,
    dose: float,
    seed: int,
    early: float = 8.0,
    drift: float = 6.0,
    walk: float = 0.15,
    local: float = 6.0,
    rough: float = 0.25,
) -> KnownMotion:
    """Motion as movies show it: fast at first, then drift, a random walk, and a smooth local field.

    Args:
        shape: height and width of the frame, px.
        n_frames: number of frames.
        pixel_size: Å.
        dose: e-/Å² per frame; the early motion dies away over 4 e-/Å².
        seed: decides directions and the local field.
        early: Å of the fast early motion.
        drift: Å of steady drift over the movie.
        walk: Å rms per frame and axis of the random walk.
        local: Å peak to peak of the local field in the last frame.
        rough: share of the local field that is no cubic polynomial of the position.
    """
    rng = np.random.default_rng([seed, 1])
    exposure = np.arange(n_frames) * dose
    course = exposure / max(exposure[-1], 1e-9)
    directions = rng.uniform(0, 2 * np.pi, 2)
    fast, slow = np.stack([np.sin(directions), np.cos(directions)], axis=1)
    whole = early * (1 - np.exp(-exposure / 4.0))[:, None] * fast + drift * course[:, None] * slow
    whole += np.cumsum(walk * rng.standard_normal((n_frames, 2)), axis=0)
    whole -= whole[0]

    early_course = 1 - np.exp(-exposure / 6.0)
    courses = np.stack([early_course / max(early_course[-1], 1e-9), course], axis=1)  # [frame, mode]
    modes = (1 - rough) * _unit_peak(_polynomials(rng)) + rough * _unit_peak(_waves(rng))
    modes *= local / max(_peak_to_peak(modes), 1e-9)
    modes -= _field_mean(modes, shape)
    return KnownMotion(shape, whole / pixel_size, np.tensordot(courses, modes, 1) / pixel_size)


def _polynomials(rng: np.random.Generator) -> Array:
    """Cubic polynomials of the position, [time mode, (y, x), grid y, grid x]."""
    y, x = np.meshgrid(np.linspace(-1, 1, _GRID), np.linspace(-1, 1, _GRID), indexing="ij")
    powers = [(i, j) for i in range(4) for j in range(4) if 0 < i + j <= 3]
    sizes = np.array([{1: 0.8, 2: 1.0, 3: 0.5}[i + j] for i, j in powers])
    weights = rng.standard_normal((2, 2, len(powers))) * sizes
    return np.tensordot(weights, np.stack([y**i * x**j for i, j in powers]), 1)


def _waves(rng: np.random.Generator) -> Array:
    """Sums of 12 plane waves, each at most 1.25 periods a side: [time mode, (y, x), grid y, grid x]."""
    y, x = np.meshgrid(np.linspace(-1, 1, _GRID), np.linspace(-1, 1, _GRID), indexing="ij")
    ky, kx = np.pi * rng.uniform(-1.25, 1.25, (2, 12, 1, 1))
    phases = rng.uniform(0, 2 * np.pi, (12, 1, 1))
    return np.tensordot(rng.standard_normal((2, 2, 12)), np.sin(ky * y + kx * x + phases), 1)


def _peak_to_peak(modes: Array) -> float:
    """Largest spread over the field in the last frame, where both time modes are 1."""
    return float(np.ptp(modes.sum(0), axis=(1, 2)).max())


def _unit_peak(modes: Array) -> Array:
    return modes / _peak_to_peak(modes)


def _field_mean(modes: Array, shape: tuple[int, int]) -> Array:
    """Mean of each mode over the frame, shaped to be taken off: the whole-frame part holds all of the mean."""
    unit = KnownMotion(shape, np.zeros((len(modes), 2)), modes)
    ys, xs = ((np.arange(32) + 0.5) * n / 32 - 0.5 for n in shape)
    return unit.on_grid(ys, xs).mean((2, 3), keepdims=True)
