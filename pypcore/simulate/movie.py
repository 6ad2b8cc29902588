"""Movies of counts, made frame by frame from a specimen, its motion and a detector."""

import dataclasses
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pypcore.kernels.cpu.simulate import count, expose, warp
from pypcore.simulate.detector import Detector, perfect_detector, typical_detector
from pypcore.simulate.motion import KnownMotion, typical_motion
from pypcore.simulate.physics import critical_exposure
from pypcore.simulate.specimen import Optics, particle_contrast

_CELL = 16
"""The inverse of the motion is found every so many px and interpolated in between (error below 1e-3 px)."""


@dataclass(frozen=True)
class Exposure:
    """How a movie was taken."""

    pixel_size: float  # Å
    dose: float  # e-/Å² per frame
    pre_dose: float = 0.0  # e-/Å² before the first frame
    voltage: float = 300.0  # kV
    fading: bool = True  # whether radiation damage fades the specimen; one that was exposed before has faded

    def accumulated(self, frame: int) -> float:
        """Exposure in e-/Å² at the middle of ``frame`` (from 0)."""
        return self.pre_dose + (frame + 0.5) * self.dose


@dataclass(frozen=True)
class Truth:
    """What a program should find."""

    motion: KnownMotion
    ideal: NDArray[np.float32]  # [y, x]: contrast at the time of the first frame, undamaged, without noise
    exposure: Exposure
    hot_pixels: NDArray[np.intp]  # [n, (y, x)]

    def save(self, path: Path) -> None:
        """Write everything to one ``.npz`` file."""
        with path.open("wb") as file:
            np.savez(
                file,
                whole=self.motion.whole,
                local=self.motion.local,
                ideal=self.ideal,
                exposure=np.array(json.dumps(dataclasses.asdict(self.exposure))),
                hot_pixels=self.hot_pixels,
            )

    @classmethod
    def load(cls, path: Path) -> "Truth":
        """Read what ``save`` wrote."""
        with np.load(path, allow_pickle=False) as file:
            ideal = file["ideal"]
            motion = KnownMotion(ideal.shape, file["whole"], file["local"])
            exposure = Exposure(**json.loads(str(file["exposure"])))
            return cls(motion, ideal, exposure, file["hot_pixels"])


class SimulatedMovie:
    """A movie [frame, y, x] of uint8 counts whose frames are computed when read.

    Any frame can be read at any time and from any thread; it is the same each time.
    """

    def __init__(
        self,
        contrast: NDArray[np.float32],
        motion: KnownMotion,
        exposure: Exposure,
        detector: Detector,
        seed: int,
    ) -> None:
        self.shape = (motion.n_frames, *motion.shape)
        self.dtype = np.dtype(np.uint8)
        self.pixel_size = exposure.pixel_size
        self.detector = detector
        self._offset = tuple((c - f) // 2 for c, f in zip(contrast.shape, motion.shape, strict=True))
        if min(self._offset) < 3:
            raise ValueError(f"contrast {contrast.shape} leaves no margin around the frame {motion.shape}")
        if detector.gain.shape != motion.shape:
            raise ValueError(f"detector {detector.gain.shape} does not fit the frame {motion.shape}")
        rows, columns = (slice(o, o + n) for o, n in zip(self._offset, motion.shape, strict=True))
        self.truth = Truth(motion, contrast[rows, columns].copy(), exposure, detector.hot_pixels)
        self._canvas = contrast.shape
        self._spectrum = scipy.fft.rfft2(contrast.astype(np.float32, copy=False))
        self._seed = seed

    @property
    def gain(self) -> NDArray[np.float32]:
        """Gain [y, x] that multiplies raw counts, 0 = bad pixel."""
        return self.detector.gain

    @property
    def defects(self) -> NDArray[np.bool_]:
        """Known bad pixels [y, x]; hot ones are not among them."""
        return self.detector.defects

    def read(self, frame: int) -> NDArray[np.uint8]:
        """Counts [y, x] of ``frame`` (from 0)."""
        if not 0 <= frame < self.shape[0]:
            raise IndexError(f"frame {frame} of a movie of {self.shape[0]}")
        exposure = self.truth.exposure
        electrons = (1 + self.contrast(frame)) * np.float32(exposure.dose * exposure.pixel_size**2)
        expected = self.detector.expected(electrons)
        counts = np.empty(expected.shape, np.uint8)
        (key,) = np.random.SeedSequence([self._seed, 3, frame]).generate_state(1, np.uint64)
        count(expected, key, counts)
        return counts

    def contrast(self, frame: int) -> NDArray[np.float32]:
        """Contrast [y, x] that the electrons of ``frame`` meet: moved, blurred and damaged, without noise."""
        motion = self.truth.motion
        faded = np.empty_like(self._spectrum)
        ky, kx, prefilter_y, prefilter_x, decay = self._tables
        accumulated = self.truth.exposure.accumulated(frame) if self.truth.exposure.fading else 0.0
        expose(self._spectrum, ky, kx, decay, accumulated, *motion.blur(frame), prefilter_y, prefilter_x, faded)
        coefficients = scipy.fft.irfft2(faded, s=self._canvas, overwrite_x=True)
        nodes = (np.arange(0, n + 2 * _CELL, _CELL, dtype=float) for n in motion.shape)
        ys, xs = np.meshgrid(*nodes, indexing="ij")
        origin_y, origin_x = motion.origins(frame, ys, xs)
        moved = np.empty(motion.shape, np.float32)
        warp(coefficients, origin_y - ys, origin_x - xs, _CELL, *self._offset, moved)
        return moved

    def stream(self, threads: int = 1) -> Iterator[NDArray[np.uint8]]:
        """Frames in order, computed by ``threads`` threads; at most one more frame than threads is in memory."""
        waiting: deque[Future[NDArray[np.uint8]]] = deque()
        with ThreadPoolExecutor(threads) as pool:
            for frame in range(self.shape[0]):
                waiting.append(pool.submit(self.read, frame))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def frames(self, threads: int = 1) -> NDArray[np.uint8]:
        """All frames [frame, y, x]."""
        return np.stack(list(self.stream(threads)))

    @cached_property
    def _tables(self) -> tuple[NDArray[np.floating], ...]:
        ky, kx = np.fft.fftfreq(self._canvas[0]), np.fft.rfftfreq(self._canvas[1])
        k = np.linspace(0, np.hypot(0.5, 0.5), 4096) / self.pixel_size
        decay = 1 / (2 * critical_exposure(k, self.truth.exposure.voltage))
        return ky, kx, quintic_response(ky), quintic_response(kx), decay


def quintic_response(k: NDArray[np.floating]) -> NDArray[np.float64]:
    """Transfer of the sampled quintic B-spline at ``k`` cycles/px; divided by it, the spline interpolates."""
    return (66 + 52 * np.cos(2 * np.pi * k) + 2 * np.cos(4 * np.pi * k)) / 120


def simulate_movie(
    contrast: NDArray[np.float32],
    motion: KnownMotion,
    exposure: Exposure,
    *,
    seed: int,
    detector: Detector | None = None,
) -> SimulatedMovie:
    """A movie of ``contrast`` (its middle is the first frame) moving by ``motion``, seen by ``detector``.

    Frame t shows I_t(x) at x + d_t(x), where I_t is the contrast faded by radiation damage (Grant and
    Grigorieff 2015) and blurred by the motion inside the frame; it counts Poisson(dose px² (1 + I_t) / gain).

    Args:
        contrast: [y, x], larger than the frame: see ``specimen``.
        motion: displacement of the specimen; gives the shape of the movie.
        exposure: pixel size, dose, voltage.
        seed: decides the counting noise.
        detector: by default one with gain 1 and no bad pixel.
    """
    return SimulatedMovie(contrast, motion, exposure, detector or perfect_detector(motion.shape), seed)


def typical_movie(
    shape: tuple[int, int] = (1024, 1024),
    n_frames: int = 16,
    *,
    seed: int,
    pixel_size: float = 1.0,
    dose: float = 2.5,
    local: float = 4.0,
    detector: Detector | None = None,
) -> SimulatedMovie:
    """A movie of simulated particles with everything as usual: motion, damage, gain, bad pixels.

    ``detector`` lets several movies share one camera; by default the seed makes one.
    """
    contrast = particle_contrast(shape, Optics(pixel_size), seed=seed)
    motion = typical_motion(shape, n_frames, pixel_size=pixel_size, dose=dose, seed=seed, local=local)
    detector = detector or typical_detector(shape, seed=seed)
    return simulate_movie(contrast, motion, Exposure(pixel_size, dose), seed=seed, detector=detector)
