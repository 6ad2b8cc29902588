"""Which sums over the frames are made, and how each image comes of them."""

import numpy as np
from numpy.typing import NDArray

from pypcore.motion.settings import MotionSettings
from pypcore.motion.weights import low_rank

Array = NDArray[np.float64]


class Weighting:
    """Factors of the sums made in one pass, and the radial curves that turn them into each image."""

    def __init__(self, weights: Array, settings: MotionSettings) -> None:
        """Split ``weights`` [T, K]."""
        count = len(weights)
        a, b = low_rank(weights)
        weighted = [(r, curve) for r, curve in enumerate(b)]
        flat = weighted
        if settings.save_unweighted and settings.dose_weighting:
            a = np.hstack([a, np.ones((count, 1))])
            flat = [(len(b), np.ones(weights.shape[1]))]
        self.curves: dict[str, list[tuple[int, Array]]] = {}  # image -> (sum, curve)
        halves = [0]
        self.factors = a
        if settings.even_odd:
            odd = (np.arange(count) % 2 == 0)[:, None]  # the first frame is number 1
            self.factors = np.hstack([a * odd, a * ~odd])
            halves = [0, a.shape[1]]
            for name, first in (("odd", 0), ("even", a.shape[1])):
                self.curves[name] = [(first + r, curve) for r, curve in weighted]
        self.curves["micrograph"] = [(first + r, curve) for first in halves for r, curve in weighted]
        if settings.save_unweighted:
            self.curves["unweighted"] = [(first + r, curve) for first in halves for r, curve in flat]
