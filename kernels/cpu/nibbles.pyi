import numpy as np
import numpy.typing as npt

def unpack_nibbles(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]: ...
