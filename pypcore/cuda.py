"""Whether CUDA can be used here through CuPy, and where not, why, in a line that says what to do.

``import cupy`` works on a machine without a driver, so that it works says nothing: devices are counted, and the
compiler that kernels need at run time is asked for its version. Imports CuPy only when called.
"""

import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ADVICE = {  # cudaError_t -> what to tell the user
    3: "the driver did not initialise; start from a fresh process",
    34: "libcuda is the toolkit's stub; take its folder out of LD_LIBRARY_PATH",
    100: "the driver shows this process no GPU; ask for one (--gres gpu:1), and look at CUDA_VISIBLE_DEVICES",
    803: "kernel module and libcuda are of different driver versions; the machine wants a restart",
}
_DRIVERS = {12: "525", 13: "580"}  # the oldest that runs CUDA of this major version
_NO_OLDER = {13: 75}  # the oldest compute capability that CUDA of this major version compiles for
_EXTRAS = "pip install 'pypcore[cuda12]' (or cuda13, for drivers from 580 on)"


@dataclass(frozen=True)
class Model:
    """A device: its name, its memory in bytes, its compute capability (90: sm_90)."""

    name: str
    memory: int
    capability: int


@dataclass(frozen=True)
class Cuda:
    """What CUDA offers this process: ``devices`` are numbered from 0; none has its reason."""

    devices: int
    reason: str = ""
    described: str = ""  # versions of CuPy, of the compiler, of what the driver knows
    models: tuple[Model, ...] = ()


def cuda_here() -> Cuda:
    """Ask CuPy what there is."""
    os.environ.setdefault("CUPY_CACHE_DIR", str(kernel_cache()))
    try:
        import cupy
    except ImportError as error:
        return Cuda(0, f"CuPy can't be imported ({_first_line(error)}); {_EXTRAS}")
    runtime = cupy.cuda.runtime
    major = runtime.runtimeGetVersion() // 1000
    try:
        count = runtime.getDeviceCount()
    except runtime.CUDARuntimeError as error:
        return Cuda(0, _why(error, runtime, major))
    if count == 0:
        return Cuda(0, _ADVICE[100])
    try:
        compiler = cupy.cuda.nvrtc.getVersion()
    except RuntimeError as error:  # the library is not there
        return Cuda(0, f"NVRTC, which compiles kernels, is missing ({_first_line(error)}); {_EXTRAS}")
    try:
        _ = cupy.cuda.cufft  # loads the library
    except ImportError as error:
        return Cuda(0, f"cuFFT, which transforms images, is missing ({_first_line(error)}); {_EXTRAS}")
    models = []
    for number in range(count):
        properties = runtime.getDeviceProperties(number)
        capability = 10 * properties["major"] + properties["minor"]
        model = properties["name"].decode()
        if capability < _NO_OLDER.get(major, 0):
            return Cuda(0, f"{model} (sm_{capability}) is too old for CUDA {major}; pip install 'pypcore[cuda12]'")
        models.append(Model(model, int(properties["totalGlobalMem"]), capability))
    driver = runtime.driverGetVersion()
    described = (
        f"CuPy {cupy.__version__}, NVRTC {compiler[0]}.{compiler[1]}, "
        f"a driver that knows CUDA {driver // 1000}.{driver % 1000 // 10}"
    )
    return Cuda(count, described=described, models=tuple(models))


def kernel_cache() -> Path:
    """Return the folder where CuPy keeps what it compiled, unless CUPY_CACHE_DIR names one.

    One for each environment: what is kept is known by the headers' paths, among other things. Beside Numba's (see
    ``kernels/_jit.py``), so that PYPCORE_CACHE_DIR moves both off a home that is small or slow.
    """
    named = os.environ.get("PYPCORE_CACHE_DIR")
    root = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pypcore"
    return root / f"cupy-{hashlib.sha256(sys.prefix.encode()).hexdigest()[:12]}"


def _why(error: Any, runtime: Any, major: int) -> str:
    needed = f"CUDA {major} needs {_DRIVERS.get(major, 'a newer one')} or newer"
    if error.status == 35:  # the same word for two things
        driver = runtime.driverGetVersion()
        if driver == 0:
            return f"no NVIDIA driver on this machine ({needed})"
        return f"the NVIDIA driver is too old: it knows CUDA {driver // 1000}.{driver % 1000 // 10}; {needed}"
    advice = _ADVICE.get(error.status, "CUDA is not usable")
    return f"{advice} [{_first_line(error)}]"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
