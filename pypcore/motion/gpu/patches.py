"""The likelihood of patches on GPUs: each has its share of the patches, cut, transformed and packed there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.kernels.gpu import devices, memory
from pypcore.kernels.gpu.cut import MOST, cut
from pypcore.kernels.gpu.gradient import Coefficients, patch_gradients
from pypcore.kernels.gpu.pack import Packing, pack
from pypcore.motion.gpu.small import DeviceMovie
from pypcore.motion.patches import STALE, Patches

Array = NDArray[np.float64]


@dataclass
class _Share:
    """One device's patches: their spectra, and where each was cut (on the host, by its place in the share)."""

    patches: range
    kept: Coefficients
    packing: Packing
    packed: Any  # [P, size] int16
    scales: Any  # [P, T] float32
    cut_at: NDArray[np.intp]  # [P, T, 2], small px
    cut_once: NDArray[np.bool_]  # [P]


class DevicePatches(Patches):
    """As ``Patches``; ``small`` lies on each of the devices ``ordinals``."""

    def __init__(
        self,
        small: DeviceMovie,
        numbers: tuple[int, int],
        pixel_size: float,
        left: Callable[[Array], Array],
        ordinals: tuple[int, ...],
        tell: Callable[[str], object],
        *,
        axes: bool = True,
    ) -> None:
        super().__init__(small, numbers, pixel_size, left, None, axes=axes)
        self._movie, self._ordinals, self._tell = small, ordinals, tell
        self._shares: list[_Share | None] = [None] * len(ordinals)

    def _sweep(self, d: Array, gain: Array) -> tuple[Array, Array]:
        """Gradient [P, T, 2] per unbinned px and cross power [P, S] of every patch."""
        gradient = np.zeros_like(d)
        power = np.zeros((len(d), self.k.size))
        mine = devices.shares(len(d), len(self._ordinals))

        def one(n: int) -> None:
            if not mine[n]:
                return
            share = self._shares[n]
            if share is None:
                share = self._shares[n] = self._begin(mine[n])
            here = slice(mine[n].start, mine[n].stop)
            self._cut_again(share, self._movie.on[n], d[here])
            rest = (d[here] - share.cut_at * self._small.step).astype(np.float32)
            v = gain[here].astype(np.float32)

            def some(low: int, high: int) -> None:
                import cupy

                given = [cupy.asarray(np.ascontiguousarray(array[low:high])) for array in (rest, v)]
                found = patch_gradients(share.kept, share.packed[low:high], share.scales[low:high], *given)
                places = slice(mine[n].start + low, mine[n].start + high)
                gradient[places], power[places] = (array.get() for array in found)

            memory.batches(len(mine[n]), 16 * share.kept.count, some, what="patches' gradients", tell=self._tell)

        devices.each(self._ordinals, one)
        return gradient, power

    def _begin(self, mine: range) -> _Share:
        import cupy

        size = self._packed.shape[1]
        memory.need(2 * len(mine) * size, f"the spectra of {len(mine)} patches")
        kept = Coefficients(self._runs, self._shell, self._ky, self._kx, self.frames, self.k.size)
        return _Share(
            mine,
            kept,
            Packing(self._runs, self._q_used, self.box[1] // 2 + 1),
            cupy.zeros((len(mine), size), np.int16),
            cupy.zeros((len(mine), self.frames), np.float32),
            np.zeros((len(mine), self.frames, 2), np.intp),
            np.zeros(len(mine), bool),
        )

    def _cut_again(self, share: _Share, frames: Any, d: Array) -> None:
        """Cut, transform and pack the patches that never were, or that moved too far since; ``d`` [P, T, 2] px."""
        now = d / self._small.step
        stale = ~share.cut_once | (np.abs(now - share.cut_at) > np.array(self.box) * STALE).any((1, 2))
        share.cut_at[stale] = np.rint(now[stale]).astype(np.intp)
        share.cut_once[stale] = True
        which = np.flatnonzero(stale)
        frames_at_once, along = self.frames, len(self._x.starts)

        def some(low: int, high: int) -> None:
            import cupy

            chosen = which[low:high]
            y, x = np.divmod(chosen + share.patches.start, along)
            starts = np.stack([np.array(self._y.starts)[y], np.array(self._x.starts)[x]], 1)
            corners = (starts[:, None] + share.cut_at[chosen]).astype(np.int32)
            windows = (self._y.window[y] * float(self._scale), self._x.window[x])
            along_y, along_x = (cupy.asarray(window.astype(np.float32)) for window in windows)
            spectra = cupy.fft.rfft2(cut(frames, cupy.asarray(corners), along_y, along_x, 0))
            pack(share.packing, spectra, cupy.asarray(chosen.astype(np.int32)), share.packed, share.scales, 0)

        # Boxes, their spectra, and as much again for the transform to work in.
        each = 16 * self.box[0] * (self.box[1] + 2) * frames_at_once
        most = max(1, MOST // frames_at_once)
        memory.batches(len(which), each, some, what="patches", most=most, tell=self._tell)
