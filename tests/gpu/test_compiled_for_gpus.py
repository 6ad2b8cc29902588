"""Every CUDA source compiled by NVRTC for every architecture in use: nothing spilled, and what docs/gpu.md says."""

from pathlib import Path

import pytest
from compiled import ARCHITECTURES, SOURCES, compiled, options, table

import pypcore.kernels.gpu.module as loader

pytestmark = pytest.mark.cupy

MOST_THREADS = 256  # a block, of any launch
PAGE = Path(__file__).parents[2] / "docs/gpu.md"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES)
def test_it_compiles_and_fits(source: str, architecture: str) -> None:
    binary, kernels = compiled(source, architecture)
    assert binary.startswith(b"\x7fELF")
    assert kernels
    for name, taken in kernels.items():
        assert taken.spilled == 0, name
        assert taken.registers * MOST_THREADS <= 65536, name
        assert taken.shared <= 48 * 1024, name


def test_the_table_of_kernels_is_what_the_compiler_says() -> None:
    from cupy.cuda import nvrtc

    text = PAGE.read_text()
    version = "NVRTC {}.{}".format(*nvrtc.getVersion())
    if version not in text:  # another compiler allots registers otherwise; kernels must all be there
        assert all(line.split("|")[1] in text for line in table().splitlines()[2:])
        return
    assert table() in text, "python tests/gpu/compiled.py prints it"


def test_a_complaint_names_the_file_and_the_line() -> None:
    from cupy.cuda import compiler

    broken = loader.read_source(SOURCES[0]).replace("return", "retrun", 1)
    with pytest.raises(compiler.CompileException, match=rf"{SOURCES[0]}\.cu\(\d+\): error"):
        compiler._NVRTCProgram(broken, "given.cu", method="cubin").compile(options("80"))
