"""The stages of motion correction that touch pixels, on GPUs. ``on_cpu`` has their twins."""

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices
from pypcore.motion.coarse import Spectra
from pypcore.motion.frames import Frames
from pypcore.motion.gpu import small as device_small
from pypcore.motion.gpu import spectra as device_spectra
from pypcore.motion.gpu import summing
from pypcore.motion.gpu.patches import DevicePatches
from pypcore.motion.patches import Patches
from pypcore.motion.small import SmallMovie
from pypcore.motion.spectrum import PowerSpectrum
from pypcore.motion.summing import Combine, Warp
from pypcore.motion.weighting import Weighting

Array = NDArray[np.float64]
Image = NDArray[np.float32]


class OnGpu:
    """The stages on the devices ``ordinals``: frames and patches shared out; what is small is done by the first.

    Each stage ends with its device idle, so that an error of a kernel is raised in the stage that it belongs to.
    """

    def __init__(self, frames: Frames, ordinals: tuple[int, ...], log: logging.Logger) -> None:
        self._frames, self._ordinals, self._tell = frames, ordinals, log.warning

    def shrink(self, step: int, group: int) -> SmallMovie:
        """Make the small copy on each device."""
        return device_small.shrink(self._frames, step, group, self._ordinals)

    def reduced(self, small: SmallMovie, pixel_size: float) -> tuple[Spectra, Array]:
        """Return spectra for the coarse alignment, and |k| of their coefficients in 1/Å."""
        import cupy

        with devices.on(self._ordinals[0]):
            return device_spectra.reduced(cupy, small, pixel_size)

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
        assert isinstance(small, device_small.DeviceMovie)
        return DevicePatches(small, numbers, pixel_size, left, self._ordinals, self._tell, axes=axes)

    def images(
        self, warp: Warp, weighting: Weighting, combine: Combine, at_once: int, *, keep: bool
    ) -> dict[str, Image]:
        """Make all images; how many sums are made in one pass, the device's memory says."""
        with devices.on(self._ordinals[0]):
            images = summing.combined(
                warp, self._frames, weighting.factors, weighting.curves, combine, self._ordinals, self._tell
            )
        if not keep:
            self._frames.release()
        return images

    def count_in(self, warp: Warp, factors: Array, spectrum: PowerSpectrum, at_once: int) -> None:
        """Count the sums of the frames times ``factors`` [T, R] into a power spectrum."""
        import cupy

        with devices.on(self._ordinals[0]):
            summing.each_sum(
                warp,
                self._frames,
                factors,
                lambda _, image: spectrum.add(image, cupy),
                self._ordinals,
                besides=4 * 2**20 * 16,
                tell=self._tell,
            )
