import numpy as np
import numpy.typing as npt

def pack_spectra(
    spectra: npt.NDArray[np.complex64],
    runs: npt.NDArray[np.int32],
    damage: npt.NDArray[np.float32],
    packed: npt.NDArray[np.int16],
    scale: npt.NDArray[np.float32],
    first: int,
) -> None: ...
def patch_gradient(
    packed: npt.NDArray[np.int16],
    scale: npt.NDArray[np.float32],
    runs: npt.NDArray[np.int32],
    shell: npt.NDArray[np.int32],
    ky: npt.NDArray[np.float32],
    kx: npt.NDArray[np.float32],
    shifts: npt.NDArray[np.float64],
    gain: npt.NDArray[np.float32],
    gradient: npt.NDArray[np.float64],
    power: npt.NDArray[np.float64],
) -> None: ...
