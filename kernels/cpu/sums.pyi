from typing import Any

import numpy as np
import numpy.typing as npt

def sum_frames(frames: list[npt.NDArray[Any]], out: npt.NDArray[np.float32]) -> None: ...
