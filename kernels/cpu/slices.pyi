import numpy as np
import numpy.typing as npt

def code() -> str: ...
def insert_slices(
    volume: npt.NDArray[np.float32],
    spectra: npt.NDArray[np.complex64],
    order: npt.NDArray[np.int32],
    matrices: npt.NDArray[np.float64],
    shifts: npt.NDArray[np.float64],
    ctf: npt.NDArray[np.float64],
    tables: npt.NDArray[np.float32],
    table_of: npt.NDArray[np.int32],
    curves: npt.NDArray[np.float32],
    curve_of: npt.NDArray[np.int32],
    nearest: int,
    beyond: int,
) -> None: ...
def extract_slices(
    volume: npt.NDArray[np.float32],
    spectra: npt.NDArray[np.complex64],
    matrices: npt.NDArray[np.float64],
    shifts: npt.NDArray[np.float64],
    ctf: npt.NDArray[np.float64],
    tables: npt.NDArray[np.float32],
    table_of: npt.NDArray[np.int32],
) -> None: ...
