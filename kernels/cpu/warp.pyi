from typing import Any

import numpy as np
import numpy.typing as npt

def warp_accumulate(
    frames: list[npt.NDArray[Any]],
    gain: npt.NDArray[np.float32] | None,
    shifts: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
    first: int,
    out: npt.NDArray[np.float32],
) -> None: ...
