"""The one door to Fourier transforms: float32 in, complex64 out, one thread a call, sizes that are quick.

Transforms release the GIL; the caller runs several at once. Forward transforms carry no factor, inverse ones
1/N (SciPy's convention).

Two libraries can do the work: SciPy's, always there, and Intel's MKL through ``mkl-fft``, where it is installed. Their
results differ in the last bit, so one job uses one of them: whoever starts the work says which::

    with fft.library("mkl"):
        ...
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Real = NDArray[np.float32]
Complex = NDArray[np.complex64]

LIBRARIES = ("scipy", "mkl")


class _Choice:
    """The library in use, and how many are using it; of the process, since its threads share the work."""

    lock = threading.Lock()
    name = "scipy"
    users = 0


@contextmanager
def library(name: str) -> Iterator[None]:
    """Have all transforms of this process done by the library ``name``.

    Raises ImportError where it is not installed, RuntimeError where others in this process are at work with another.
    """
    if name not in LIBRARIES:
        raise ValueError(f"transforms by {name}; there are {' and '.join(LIBRARIES)}")
    if name == "mkl":
        _mkl()
    with _Choice.lock:
        if _Choice.users and _Choice.name != name:
            raise RuntimeError(f"transforms by {name} are wanted while others in this process use {_Choice.name}")
        _Choice.name = name
        _Choice.users += 1
    try:
        yield
    finally:
        with _Choice.lock:
            _Choice.users -= 1
            if not _Choice.users:
                _Choice.name = "scipy"


@cache
def _mkl() -> Any:
    """Import MKL's transforms, without threads of their own.

    Its layer of threads is chosen by a variable that is read once, at the first call. Limiting that layer to one thread
    is not enough: calls from several threads then wait for each other in a loop (docs/motion-speed.md).
    """
    import mkl_fft
    from threadpoolctl import ThreadpoolController

    chosen = os.environ.setdefault("MKL_THREADING_LAYER", "SEQUENTIAL")
    mkl_fft.rfft(np.zeros(8, np.float32))
    if chosen == "SEQUENTIAL":
        del os.environ["MKL_THREADING_LAYER"]  # programs that are started may want its threads
    limit = ThreadpoolController().select(internal_api="mkl").limit(limits=1)
    return mkl_fft, limit  # the limit holds as long as it is kept


def rfft2(image: Real, shape: tuple[int, int] | None = None) -> Complex:
    """Transform the last two axes, zero-padded at the end to ``shape``: [..., y, x] -> [..., y, x // 2 + 1]."""
    if _Choice.name == "mkl":
        return _mkl()[0].rfftn(image, s=shape, axes=(-2, -1))
    return fft.rfft2(image, s=shape, workers=1)


def irfft2(spectrum: Complex, shape: tuple[int, int]) -> Real:
    """Transform back to real images of ``shape`` (y, x)."""
    if _Choice.name == "mkl":
        return _mkl()[0].irfftn(spectrum, s=shape, axes=(-2, -1))
    return fft.irfft2(spectrum, s=shape, workers=1)


def rfft(image: Real, n: int) -> Complex:
    """Transform the last axis, zero-padded at the end to ``n`` points."""
    if _Choice.name == "mkl":
        return _mkl()[0].rfft(image, n=n)
    return fft.rfft(image, n=n, workers=1)


def irfft(spectrum: Complex, n: int) -> Real:
    """Transform the last axis back to ``n`` real points."""
    if _Choice.name == "mkl":
        return _mkl()[0].irfft(spectrum, n=n)
    return fft.irfft(spectrum, n=n, workers=1)


def fft_columns(spectrum: Complex, n: int) -> Complex:
    """Transform the first axis of a 2-D array, zero-padded at the end to ``n`` points."""
    if _Choice.name == "mkl":
        return _mkl()[0].fft(spectrum, n=n, axis=0)
    return fft.fft(spectrum, n=n, axis=0, workers=1)


def frequencies(shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return ky [y, 1] and kx [1, x // 2 + 1] of an ``rfft2``, in cycles per pixel."""
    ky, kx = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    return ky[:, None].astype(np.float64), kx[None, :].astype(np.float64)


def good_size(at_least: int, multiple: int = 2) -> int:
    """Return the smallest multiple of ``multiple`` >= ``at_least`` whose further factors are 2, 3 and 5 only."""
    factor = -(-at_least // multiple)
    while fft.next_fast_len(factor, real=True) != factor:
        factor = fft.next_fast_len(factor, real=True)
    return factor * multiple
