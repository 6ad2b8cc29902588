"""Laws of motion unlike the typical one: what a program that leans on one law gets wrong.

Each law takes what ``typical_motion`` takes and gives a known motion of its own kind, directions and fields by the
seed. A slow random walk is in all of them but ``still``: no stage stands still.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore.simulate.motion import KnownMotion

Array = NDArray[np.float64]

_GRID = 17
_WALK = 0.1  # Å per frame and axis


@dataclass(frozen=True)
class _Movie:
    """What a law may know."""

    shape: tuple[int, int]
    n_frames: int
    pixel_size: float
    rng: np.random.Generator

    @property
    def course(self) -> Array:
        """From 0 in the first frame to 1 in the last [frame]."""
        return np.linspace(0, 1, self.n_frames)

    def direction(self) -> Array:
        """A random unit vector (y, x)."""
        angle = self.rng.uniform(0, 2 * np.pi)
        return np.array([np.sin(angle), np.cos(angle)])

    def walk(self) -> Array:
        """A random walk [frame, (y, x)], Å."""
        return np.cumsum(_WALK * self.rng.standard_normal((self.n_frames, 2)), axis=0)

    def dome(self) -> Array:
        """A bulge: displacements away from a place off the middle, growing and falling with the distance.

        [(y, x), grid y, grid x], 1 at most, mean 0.
        """
        y, x = np.meshgrid(np.linspace(-1, 1, _GRID), np.linspace(-1, 1, _GRID), indexing="ij")
        dy, dx = y - self.rng.uniform(-0.4, 0.4), x - self.rng.uniform(-0.4, 0.4)
        height = np.exp(-(dy**2 + dx**2) / (2 * 0.7**2))
        field = np.stack([dy * height, dx * height])
        field /= np.hypot(*field).max()
        return field - field.mean((1, 2), keepdims=True)

    def shear(self) -> Array:
        """A displacement linear in the position [(y, x), grid y, grid x], 1 at most."""
        y, x = np.meshgrid(np.linspace(-1, 1, _GRID), np.linspace(-1, 1, _GRID), indexing="ij")
        field = np.tensordot(self.rng.standard_normal((2, 2)), np.stack([y, x]), 1)
        return field / np.hypot(*field).max()

    def motion(self, whole: Array, local: Array | None = None, within: Array | None = None) -> KnownMotion:
        """Make it relative to the first frame; Å become px."""
        local = np.zeros((self.n_frames, 2, 4, 4)) if local is None else local - local[0]
        within = None if within is None else within / self.pixel_size
        return KnownMotion(self.shape, (whole - whole[0]) / self.pixel_size, local / self.pixel_size, within)


def _still(movie: _Movie) -> KnownMotion:
    return movie.motion(np.zeros((movie.n_frames, 2)))


def _jump(movie: _Movie) -> KnownMotion:
    """12 Å from one frame to the next in mid-movie, and 2 Å of the field with it."""
    jumped = np.arange(movie.n_frames) >= movie.n_frames // 2
    calm = 3 * movie.course[:, None] * movie.direction() + movie.walk()
    local = 2 * jumped[:, None, None, None] * movie.shear()
    return movie.motion(calm + 12 * jumped[:, None] * movie.direction(), local, np.gradient(calm, axis=0))


def _beam_shift(movie: _Movie) -> KnownMotion:
    """Steps of 30 Å after an eighth of the movie and of 15 Å after three quarters, as the beam is moved."""
    calm = 4 * movie.course[:, None] * movie.direction() + movie.walk()
    whole = calm.copy()
    for after, step in ((1 / 8, 30.0), (3 / 4, 15.0)):
        late = np.arange(movie.n_frames) >= round(after * movie.n_frames)
        whole += step * late[:, None] * movie.direction()
    return movie.motion(whole, within=np.gradient(calm, axis=0))


def _drift(movie: _Movie) -> KnownMotion:
    """100 px from the first frame to the last, steadily; the field is sheared by 3 Å."""
    whole = 100 * movie.pixel_size * movie.course[:, None] * movie.direction() + movie.walk()
    return movie.motion(whole, 3 * movie.course[:, None, None, None] * movie.shear())


def _charging(movie: _Movie) -> KnownMotion:
    """Nothing at first; late in the movie the frame runs off by 10 Å and bulges by 5 Å."""
    late = movie.course**3
    return movie.motion(
        10 * late[:, None] * movie.direction() + movie.walk(), 5 * late[:, None, None, None] * movie.dome()
    )


def _doming(movie: _Movie) -> KnownMotion:
    """The film bulges by 5 Å at first, and falls back to the other side."""
    course = np.sin(1.5 * np.pi * movie.course) * (1 - 0.3 * movie.course)
    return movie.motion(3 * movie.course[:, None] * movie.direction() + movie.walk(),
                        5 * course[:, None, None, None] * movie.dome())  # fmt: skip


def _vibration(movie: _Movie) -> KnownMotion:
    """0.8 Å to and fro, period 2.7 frames, on a slow drift."""
    phase = 2 * np.pi * np.arange(movie.n_frames) / 2.7 + movie.rng.uniform(0, 2 * np.pi)
    along = movie.direction()
    calm = 3 * movie.course[:, None] * movie.direction() + movie.walk()
    # From one end of the exposure to the other; the way to and fro in between is not in it.
    within = 0.8 * (np.sin(phase + np.pi / 2.7) - np.sin(phase - np.pi / 2.7))[:, None] * along
    return movie.motion(calm + 0.8 * np.sin(phase)[:, None] * along, within=within + np.gradient(calm, axis=0))


LAWS: dict[str, Callable[[_Movie], KnownMotion]] = {
    "still": _still,
    "jump": _jump,
    "beam-shift": _beam_shift,
    "drift": _drift,
    "charging": _charging,
    "doming": _doming,
    "vibration": _vibration,
}


def lawful_motion(law: str, shape: tuple[int, int], n_frames: int, *, pixel_size: float, seed: int) -> KnownMotion:
    """Motion by one of ``LAWS`` for frames of ``shape`` (px) with pixels of ``pixel_size`` Å."""
    return LAWS[law](_Movie(shape, n_frames, pixel_size, np.random.default_rng([seed, 4])))
