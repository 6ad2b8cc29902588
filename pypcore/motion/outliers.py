"""Frames and patches that are unlike the others: found, told, and given less say. None is cut off.

A frame without the specimen in it (the beam was off, the stage leapt) shares no signal with the others. A patch
that moves by itself (the edge of a hole, a flake of ice) pulls harder on the smooth field than its information
allows.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pypcore.motion.patches import Evidence

Array = NDArray[np.float64]

_POOR = 0.6  # of the signal it should have: below, a frame is an outlier, if that is sure
_SURE = 5.0  # standard deviations
_LEAST = 0.05  # share of the signal that a frame is always granted
_MISFIT = 3.0  # squared pull over its expectation, from which on a patch is held back


def poor_frames(quality: Array, height: float) -> NDArray[np.bool_]:
    """Return [T]: frames with too little of their signal; ``height``: of the correlation peaks, in deviations.

    The share of signal is as uncertain as the peak is high.
    """
    return quality < min(_POOR, 1 - _SURE / max(height, _SURE))


def amplitudes(quality: Array, poor: NDArray[np.bool_]) -> Array:
    """Return [T] what each frame counts for: 1, and what signal it has for a poor one."""
    return np.where(poor, np.clip(quality, _LEAST, 1), 1.0)


def misfit(data: Evidence) -> Array:
    """Return [P]: squared pull of each patch's data on the field, over what it would be by chance; 1 is usual."""
    expected = data.share * np.trace(data.information) * 2
    pull = (data.gradient**2).sum((1, 2))
    ratio = np.divide(pull, expected, out=np.zeros_like(pull), where=expected > 0)
    middle = float(np.median(ratio[ratio > 0])) if (ratio > 0).any() else 0.0
    return ratio / middle if middle > 0 else np.ones_like(ratio)


def unlike(misfits: Array) -> NDArray[np.bool_]:
    """Return [P]: patches that do not fit the field."""
    return misfits > _MISFIT


def held_back(data: Evidence, misfits: Array) -> Evidence:
    """Return the likelihood with patches that pull too hard weighted down (Huber 1964: pull without limit is not)."""
    weight = np.minimum(1, _MISFIT / np.maximum(misfits, 1e-9))
    return replace(data, gradient=data.gradient * weight[:, None, None], share=data.share * weight)
