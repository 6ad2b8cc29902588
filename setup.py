"""Packages and extensions; everything else stands in pyproject.toml.

``kernels/`` and ``cli/`` live at the top of the tree and are installed as ``pypcore.kernels`` and
``pypcore.cli``. The symlinks ``pypcore/kernels`` and ``pypcore/cli`` exist for editors and type checkers only.
"""

from Cython.Build import cythonize
from setuptools import Extension, find_packages, setup


def packages_under(folder: str, name: str) -> list[str]:
    """List package ``name`` and its subpackages, found in ``folder``."""
    return [name, *(f"{name}.{sub}" for sub in find_packages(folder))]


extensions = [
    Extension("pypcore.kernels.cpu.nibbles", ["kernels/cpu/nibbles.pyx"], extra_compile_args=["-O3"]),
    Extension(
        "pypcore.kernels.cpu.tomogram",
        ["kernels/cpu/tomogram.pyx"],
        depends=["kernels/cpu/tomogram.h"],
        extra_compile_args=["-O3"],
    ),
]

setup(
    packages=[
        *(p for p in packages_under("pypcore", "pypcore") if p.split(".")[1:2] not in (["kernels"], ["cli"])),
        *packages_under("kernels", "pypcore.kernels"),
        *packages_under("cli", "pypcore.cli"),
        "pypcore.data",  # no Python in it, but a package to setuptools, which warns when it is not named
    ],
    package_dir={"pypcore.kernels": "kernels", "pypcore.cli": "cli"},
    package_data={"pypcore": ["py.typed"], "pypcore.data": ["*"], "pypcore.kernels.cpu": ["*.pyi"]},
    ext_modules=cythonize(extensions, language_level=3),
)
