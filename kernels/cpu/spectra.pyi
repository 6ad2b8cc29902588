import numpy as np
import numpy.typing as npt

def add_filtered(
    spectrum: npt.NDArray[np.complex64],
    bins: npt.NDArray[np.uint16],
    curve: npt.NDArray[np.float32],
    along_y: npt.NDArray[np.float32],
    along_x: npt.NDArray[np.float32],
    total: npt.NDArray[np.complex64],
) -> None: ...
