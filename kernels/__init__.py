"""Arrays in, arrays out: no files, clocks or settings.

Each kernel has a ``reference`` in plain NumPy, which defines it, and faster variants that must agree with it.
A variant is asked for by name and imported only then::

    warp = kernels.get("warp_accumulate", "numba")
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

_REGISTRY: dict[str, dict[str, str]] = {
    "backproject": {"reference": "reference.tomogram", "cython": "cpu.tomogram", "numba": "cpu.tomogram_numba"},
    "deposit_points": {"reference": "reference.points", "numba": "cpu.points"},
    "patch_gradient": {"reference": "reference.gradient", "numba": "cpu.gradient"},
    "planes_to_tile": {"reference": "reference.tomogram", "cython": "cpu.tomogram"},
    "project": {"reference": "reference.tomogram", "cython": "cpu.tomogram", "numba": "cpu.tomogram_numba"},
    "sample_grid": {"reference": "reference.resample", "numba": "cpu.resample"},
    "sample_affine": {"reference": "reference.affine", "numba": "cpu.affine"},
    "tile_to_planes": {"reference": "reference.tomogram", "cython": "cpu.tomogram"},
    "unpack_nibbles": {"reference": "reference.nibbles", "cython": "cpu.nibbles"},
    "warp_accumulate": {"reference": "reference.warp", "numba": "cpu.warp"},
}


def names() -> list[str]:
    """Return every kernel's name, sorted."""
    return sorted(_REGISTRY)


def variants(name: str) -> list[str]:
    """Return a kernel's variants, ``reference`` first."""
    return list(_REGISTRY[name])


def get(name: str, variant: str) -> Callable[..., Any]:
    """Import one variant of one kernel; KeyError when there is none of that name."""
    module = import_module(f"pypcore.kernels.{_REGISTRY[name][variant]}")
    function: Callable[..., Any] = getattr(module, name)
    return function
