import numpy as np
import numpy.typing as npt

def lzw_decode(data: bytes | bytearray | npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> int: ...
