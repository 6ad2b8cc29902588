from typing import Any

import numpy as np
import numpy.typing as npt

def shrink_frame(
    frame: npt.NDArray[Any],
    gain: npt.NDArray[np.float32] | None,
    mean: float,
    taps: npt.NDArray[np.float32],
    step: int,
    out: npt.NDArray[np.float32],
) -> None: ...
