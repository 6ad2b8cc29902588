"""CUDA sources as callable kernels, compiled once a device and process.

CuPy keeps what it compiled in ``$CUPY_CACHE_DIR`` (else ``~/.cupy/kernel_cache``), by source, options and architecture.
"""

import threading
from functools import cache
from pathlib import Path
from typing import Any

_lock = threading.Lock()


def kernel(name: str, source: str) -> Any:
    """Return the kernel ``name`` of ``source`` (a file of this folder, without ``.cu``) for the current device."""
    import cupy

    with _lock:  # CuPy's own compilation is not for several threads at once
        return _module(source, cupy.cuda.Device().id).get_function(name)


@cache
def _module(source: str, device: int) -> Any:
    import cupy

    return cupy.RawModule(code=read_source(source), options=("-std=c++17",))


def read_source(source: str) -> str:
    """Return the text of a source, with a directive that makes a compiler's complaint point into the file."""
    path = Path(__file__).with_name(f"{source}.cu")
    return f'#line 1 "{path.name}"\n{path.read_text()}'


def blocks(count: int, threads: int) -> int:
    """Return how many blocks of ``threads`` cover ``count``."""
    return -(-count // threads)
