"""The project's one Numba decorator: compilation flags and the folder of compiled code, decided once.

Compiled kernels are kept in ``$PYPCORE_CACHE_DIR``, else ``$XDG_CACHE_HOME/pypcore``, else ``~/.cache/pypcore``,
below a folder whose name carries a hash of all kernel sources and Numba's version: an edited helper can never
leave a stale caller behind, and two versions of pypcore never share code. A folder that can't be written turns
the cache off, with one warning; everything still works, each process compiling for itself.

Kernels release the GIL and never start threads: whoever calls them brings the threads.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

logger = logging.getLogger("pypcore.kernels")

# Sums may be reordered and contracted, so that loops vectorise; NaN and infinity keep their meaning.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def jit(*signatures: Any) -> Any:
    """Compile a kernel: ``@jit("void(float32[:])")`` for these types only, at once; ``@jit`` for any, when called.

    The first is for kernels that every run needs (it loads in milliseconds from a warm cache), the second for
    helpers of a kernel in the same file and for rare ones.
    """
    if len(signatures) == 1 and callable(signatures[0]):
        return _compile(signatures[0], None)
    return lambda function: _compile(function, list(signatures))


def _compile(function: Callable[..., Any], signatures: list[str] | None) -> Any:
    config: Any = numba.config
    before = config.CACHE_DIR
    config.CACHE_DIR = str(CACHE or before)  # read by Numba while it decorates, and only then
    try:
        return numba.njit(signatures, nogil=True, error_model="numpy", fastmath=FASTMATH, cache=CACHE is not None)(
            function
        )
    finally:
        config.CACHE_DIR = before


def inlined(function: Callable[..., Any]) -> Any:
    """Compile a small helper into each kernel of the same file that calls it."""
    return numba.njit(inline="always", error_model="numpy", fastmath=FASTMATH)(function)


def cache_folder() -> Path | None:
    """Return the folder for this version's compiled kernels, or None (said once) when it can't be written."""
    named = os.environ.get("PYPCORE_CACHE_DIR")
    root = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pypcore"
    folder = root / f"numba-{_fingerprint()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        logger.warning(
            "%s: compiled kernels can't be kept here (%s), so each process compiles its own (some seconds); "
            "set PYPCORE_CACHE_DIR to a folder that can be written",
            folder,
            problem.strerror,
        )
        return None
    return folder


def _fingerprint() -> str:
    here = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for source in [Path(__file__), *sorted((here / "cpu").glob("*.py"))]:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


CACHE = cache_folder()
