"""Every CUDA source compiled by NVRTC as CuPy would at run time, and what its kernels take.

``python tests/gpu/compiled.py`` prints the table of docs/gpu.md.
"""

import io
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pypcore.kernels.gpu.module as loader

SOURCES = sorted(path.stem for path in Path(loader.__file__).parent.glob("*.cu"))
ARCHITECTURES = ("70", "75", "80", "86", "89", "90", "100", "120")


@dataclass(frozen=True)
class Taken:
    """What one kernel takes of an architecture: registers a thread, bytes spilled, bytes of shared memory a block."""

    registers: int
    spilled: int
    shared: int


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


@cache
def compiled(source: str, architecture: str) -> tuple[bytes, dict[str, Taken]]:
    """Return the binary of a source, and what each of its kernels takes."""
    from cupy.cuda import compiler

    program, said = compiler._NVRTCProgram(loader.read_source(source), f"{source}.cu", method="cubin"), io.StringIO()
    binary, _ = program.compile((*options(architecture), "--ptxas-options=-v"), said)
    kernels = {}
    for part in said.getvalue().split("Compiling entry function '")[1:]:
        spilled = sum(map(int, re.findall(r"(\d+) bytes spill", part)))
        registers, shared = (re.search(pattern, part) for pattern in (r"Used (\d+) registers", r"(\d+) bytes smem"))
        assert registers is not None
        kernels[part.partition("'")[0]] = Taken(int(registers[1]), spilled, int(shared[1]) if shared else 0)
    return binary, kernels


def table() -> str:
    """Return the table of docs/gpu.md: a line a kernel, its shared memory and its registers by architecture."""
    lines = [
        f"| kernel | source | shared, bytes | {' | '.join(f'sm_{one}' for one in ARCHITECTURES)} |",
        f"| --- | --- | --- | {' | '.join('---' for _ in ARCHITECTURES)} |",
    ]
    for source in SOURCES:
        by_architecture = [compiled(source, one)[1] for one in ARCHITECTURES]
        for kernel, taken in sorted(by_architecture[0].items()):
            registers = " | ".join(str(kernels[kernel].registers) for kernels in by_architecture)
            lines.append(f"| `{kernel}` | `{source}.cu` | {taken.shared} | {registers} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
