"""The stages of motion correction that touch pixels, on the CPU. ``gpu.stages`` has their twins."""

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pypcore.motion import coarse
from pypcore.motion.frames import Frames
from pypcore.motion.parallel import Threads
from pypcore.motion.patches import Patches
from pypcore.motion.small import SmallMovie, shrink
from pypcore.motion.spectrum import PowerSpectrum
from pypcore.motion.summing import Combine, Warp
from pypcore.motion.weighting import Weighting

Array = NDArray[np.float64]
Image = NDArray[np.float32]


class Stages(Protocol):
    """What is done with the pixels of one movie."""

    def shrink(self, step: int, group: int) -> SmallMovie:
        """Make the small copy."""
        ...

    def reduced(self, small: SmallMovie, pixel_size: float) -> tuple[coarse.Spectra, Array]:
        """Return spectra for the coarse alignment, and |k| of their coefficients in 1/Å."""
        ...

    def patches(
        self,
        small: SmallMovie,
        numbers: tuple[int, int],
        pixel_size: float,
        left: Callable[[Array], Array],
        *,
        axes: bool,
    ) -> Patches:
        """Lay out patches on the small copy."""
        ...

    def images(
        self, warp: Warp, weighting: Weighting, combine: Combine, at_once: int, *, keep: bool
    ) -> dict[str, Image]:
        """Add up the frames and make all images; unless ``keep``, the frames are let go when they are not needed.

        ``at_once``: sums that the task's memory holds.
        """
        ...

    def count_in(self, warp: Warp, factors: Array, spectrum: PowerSpectrum, at_once: int) -> None:
        """Count the sums of the frames times ``factors`` [T, R] into a power spectrum."""
        ...


class OnCpu:
    """The stages on the CPU, by the threads of the task."""

    def __init__(self, frames: Frames, threads: Threads) -> None:
        self._frames, self._threads = frames, threads

    def shrink(self, step: int, group: int) -> SmallMovie:
        """Make the small copy."""
        return shrink(self._frames, step, group, self._threads)

    def reduced(self, small: SmallMovie, pixel_size: float) -> tuple[coarse.Spectra, Array]:
        """Return spectra for the coarse alignment, and |k| of their coefficients in 1/Å."""
        return coarse.reduced(small, pixel_size, self._threads)

    def patches(
        self,
        small: SmallMovie,
        numbers: tuple[int, int],
        pixel_size: float,
        left: Callable[[Array], Array],
        *,
        axes: bool,
    ) -> Patches:
        """Lay out patches on the small copy."""
        return Patches(small, numbers, pixel_size, left, self._threads, axes=axes)

    def images(
        self, warp: Warp, weighting: Weighting, combine: Combine, at_once: int, *, keep: bool
    ) -> dict[str, Image]:
        """Make all images, ``at_once`` sums in one pass over the frames."""
        spectra = {name: combine.empty() for name in weighting.curves}
        for low in range(0, weighting.factors.shape[1], at_once):
            sums = warp.add(self._frames, weighting.factors[:, low : low + at_once], self._threads)
            if not keep and low + at_once >= weighting.factors.shape[1]:
                self._frames.release()
            for r, spectrum in enumerate(self._threads.map(combine.spectrum, sums), low):
                for name, parts in weighting.curves.items():
                    for number, curve in parts:
                        if number == r:
                            combine.add(spectrum, curve, spectra[name])
            del sums, spectrum  # before the next are made
        return dict(zip(spectra, self._threads.map(combine.image, spectra.values()), strict=True))

    def count_in(self, warp: Warp, factors: Array, spectrum: PowerSpectrum, at_once: int) -> None:
        """Count the sums of the frames times ``factors`` [T, R] into a power spectrum."""
        for low in range(0, factors.shape[1], at_once):
            for image in warp.add(self._frames, factors[:, low : low + at_once], self._threads):
                spectrum.add(image)
