"""Arrays in, arrays out: no files, clocks or settings.

Each kernel has a ``reference`` in plain NumPy, which defines it, and faster variants that must agree with it.
A variant is asked for by name and imported only then::

    warp = kernels.get("warp_accumulate", "numba")
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

_REGISTRY: dict[str, dict[str, str]] = {
    # movies and their motion
    "add_filtered": {"reference": "reference.spectra", "cython": "cpu.spectra", "cupy": "gpu.filter"},
    "cut_windows": {"reference": "reference.cut", "cupy": "gpu.cut"},
    "lzw_decode": {"reference": "reference.lzw", "cython": "cpu.lzw"},
    "pack_spectra": {"reference": "reference.gradient", "cython": "cpu.gradient", "cupy": "gpu.pack"},
    "patch_gradient": {"reference": "reference.gradient", "cython": "cpu.gradient", "cupy": "gpu.gradient"},
    "shrink_frame": {"reference": "reference.shrink", "cython": "cpu.shrink", "cupy": "gpu.shrink"},
    "sum_frames": {"reference": "reference.sums", "cython": "cpu.sums"},
    "unpack_nibbles": {"reference": "reference.nibbles", "cython": "cpu.nibbles"},
    "warp_accumulate": {"reference": "reference.warp", "cython": "cpu.warp", "cupy": "gpu.warp"},
    # particles: slices in and out of sums
    "extract_slices": {"reference": "reference.slices", "cython": "cpu.slices", "cupy": "gpu.slices"},
    "insert_slices": {
        "reference": "reference.slices",
        "cython": "cpu.slices",
        "numba": "cpu.slices_numba",
        "cupy": "gpu.slices",
    },
    "rotate_sums": {"reference": "reference.rotate", "numba": "cpu.rotate"},
    # tilt series and tomograms
    "backproject": {
        "reference": "reference.tomogram",
        "cython": "cpu.tomogram",
        "numba": "cpu.tomogram_numba",
        "cupy": "gpu.tomogram",
    },
    "deposit_points": {"reference": "reference.points", "numba": "cpu.points"},
    "fill_discs": {"reference": "reference.discs", "numba": "cpu.discs"},
    "planes_to_tile": {"reference": "reference.tomogram", "cython": "cpu.tomogram"},
    "project": {
        "reference": "reference.tomogram",
        "cython": "cpu.tomogram",
        "numba": "cpu.tomogram_numba",
        "cupy": "gpu.tomogram",
    },
    "sample_affine": {"reference": "reference.affine", "numba": "cpu.affine", "cupy": "gpu.affine"},
    "sample_grid": {"reference": "reference.resample", "numba": "cpu.resample"},
    "tile_to_planes": {"reference": "reference.tomogram", "cython": "cpu.tomogram"},
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
