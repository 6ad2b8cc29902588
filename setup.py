"""Packages and extensions; everything else stands in pyproject.toml.

``kernels/`` and ``cli/`` live at the top of the tree and are installed as ``pypcore.kernels`` and
``pypcore.cli``. The symlinks ``pypcore/kernels`` and ``pypcore/cli`` exist for editors and type checkers only.
"""

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup


def packages_under(folder: str, name: str) -> list[str]:
    """List package ``name`` and its subpackages, found in ``folder``."""
    return [name, *(f"{name}.{sub}" for sub in find_packages(folder))]


HEADERS = ["kernels/cpu/wide.h", "kernels/cpu/frames.pxi"]


def extension(name: str, *headers: str, options: tuple[str, ...] = ()) -> Extension:
    """Describe ``kernels/cpu/NAME.pyx`` and the C headers its loops stand in."""
    return Extension(
        f"pypcore.kernels.cpu.{name}",
        [f"kernels/cpu/{name}.pyx"],
        depends=[*HEADERS, *(f"kernels/cpu/{header}" for header in headers)],
        include_dirs=["kernels/cpu"],
        extra_compile_args=["-O3", *options],
    )


extensions = [
    extension("gradient", "gradient.h"),
    extension("lzw", "lzw.h"),
    extension("nibbles"),
    extension("shrink", "raw.h", "shrink.h"),
    extension("slices", "slices.h", options=("-fno-math-errno", "-fno-trapping-math")),
    extension("spectra"),
    extension("sums", "raw.h", "sums.h"),
    extension("tomogram", "tomogram.h"),
    extension("warp", "raw.h", "warp.h"),
]

setup(
    packages=[
        *(p for p in packages_under("pypcore", "pypcore") if p.split(".")[1:2] not in (["kernels"], ["cli"])),
        *packages_under("kernels", "pypcore.kernels"),
        *packages_under("cli", "pypcore.cli"),
        *(
            "pypcore.data",
            "pypcore.panel.page",
            "pypcore.programs.cards",
        ),  # no Python in them, but packages to setuptools, which warns else
    ],
    package_dir={"pypcore.kernels": "kernels", "pypcore.cli": "cli"},
    package_data={
        "pypcore": ["py.typed"],
        "pypcore.data": ["*"],
        "pypcore.panel.page": ["*"],
        "pypcore.programs.cards": ["*.toml"],
        "pypcore.report": ["template/*"],
        "pypcore.kernels.cpu": ["*.pyi"],
        "pypcore.kernels.gpu": ["*.cu"],
    },
    ext_modules=cythonize(extensions, language_level=3),
)
