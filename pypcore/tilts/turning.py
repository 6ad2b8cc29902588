"""The axis once more, by what parts of the field say of it rather than by all that the window holds.

The likelihood of one axis and another (``axis.refine``) has in it how strong the things are that come into the window
and leave it, which a few strong ones may decide. The slopes of ``local`` compare views place by place with what others
predict of them, and parts that disagree with the rest more than they may have less say. A turned axis moves what is at
(X, Y) by Y across the axis and by -X cos t along it, times the turn.
"""

import numpy as np
from numpy.typing import NDArray

from pypcore.tilts.axis import turned_to
from pypcore.tilts.bending import misfit
from pypcore.tilts.local import Parts
from pypcore.tilts.matching import Fit, settle
from pypcore.tilts.small import SmallSeries
from pypcore.tilts.workers import Workers

Array = NDArray[np.float64]

_PARTS = (6, 6)
_ROUNDS = 3
_CLOSE = 0.02  # degrees
_MOST = 1.0  # degrees in one step


def refine(fit: Fit, small: SmallSeries, workers: Workers) -> tuple[Fit, float]:
    """Turn the axis until parts of the field ask for no more; return the fit there, and the axis' standard error."""
    error = float("inf")
    for _ in range(_ROUNDS):
        turn, error = _asked(fit, workers)
        turn = float(np.clip(turn, -_MOST, _MOST))
        fit = settle(small, turned_to(fit.frame, fit.frame.axis + turn), fit.model, fit.band, workers)
        if abs(turn) < _CLOSE:
            break
    return fit, error


def _asked(fit: Fit, workers: Workers) -> tuple[float, float]:
    """How much further (degrees) the axis should be turned, and the standard error of that."""
    t = np.radians(fit.frame.angles)
    parts = Parts(fit.band.shape, _PARTS)
    patches = parts.ask(fit.joint(workers), fit.grid, workers)
    rise = fit.model.thickness / 2 * np.sin(t)  # a part may lie higher than others
    size = 1 + len(patches)
    gram, right = np.eye(size), np.zeros(size)
    gram[0, 0] = 0
    for p, (patch, (x, y)) in enumerate(zip(patches, parts.centres, strict=True)):
        share = 1 / misfit(patch, np.zeros((len(t), 2)))
        across, along = np.radians(y) * np.ones(len(t)), -np.radians(x) * np.cos(t)
        information = share * patch.information
        gram[0, 0] += across @ information[0] @ across + along @ information[1] @ along
        right[0] += share * (across @ patch.pull[:, 0] + along @ patch.pull[:, 1])
        gram[0, 1 + p] = gram[1 + p, 0] = across @ information[0] @ rise
        gram[1 + p, 1 + p] += rise @ information[0] @ rise
        right[1 + p] = share * (rise @ patch.pull[:, 0])
    inverse = np.linalg.inv(gram)
    return float(inverse[0] @ right), float(np.sqrt(inverse[0, 0]))
