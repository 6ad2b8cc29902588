"""Every CUDA source compiled by NVRTC, as CuPy would at run time, for every architecture that is in use."""

from pathlib import Path
from typing import Any

import pytest

import pypcore.kernels.gpu.module as loader

pytestmark = pytest.mark.cupy

SOURCES = sorted(path.stem for path in Path(loader.__file__).parent.glob("*.cu"))
ARCHITECTURES = ("70", "75", "80", "86", "89", "90", "100", "120")


def options(architecture: str) -> tuple[str, ...]:
    """What CuPy 14 hands NVRTC for a RawModule of ours. Parts of it are private: CuPy is pinned below 15."""
    import cupy
    from cuda import pathfinder

    root = Path(cupy.__file__).parent / "_core" / "include"
    folders: list[Any] = [root, *(root / "cupy" / "_cccl" / part for part in ("cub", "thrust", "libcudacxx"))]
    folders.append(pathfinder.find_nvidia_header_directory("cudart"))
    return (
        "-std=c++17",
        *(f"-I{folder}" for folder in folders if folder),
        "-ftz=true",
        f"-arch=sm_{architecture}",
        "--device-as-default-execution-space",
    )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES)
def test_it_compiles(source: str, architecture: str) -> None:
    from cupy.cuda import compiler

    program = compiler._NVRTCProgram(loader.read_source(source), f"{source}.cu", method="cubin")
    binary, _ = program.compile(options(architecture))
    assert binary.startswith(b"\x7fELF")


def test_a_complaint_names_the_file_and_the_line() -> None:
    from cupy.cuda import compiler

    broken = loader.read_source(SOURCES[0]).replace("return", "retrun", 1)
    with pytest.raises(compiler.CompileException, match=rf"{SOURCES[0]}\.cu\(\d+\): error"):
        compiler._NVRTCProgram(broken, "given.cu", method="cubin").compile(options("80"))
