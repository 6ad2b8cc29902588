"""Runs plain CUDA C kernels, the text given to ``cupy.RawModule``, on the CPU.

``RawModule(code=...)`` and ``module.get_function(name)(grid, block, args)`` are called as CuPy's, so that the host code
under test is the host code that ships; arrays are NumPy's. Engines (``CUDA_ON_CPU`` in the environment):

fiber  a fiber for each CUDA thread, barriers and warp shuffles modelled, threads and blocks in a chosen order
asan   the same under AddressSanitizer and UBSan (Python itself must be started through ``sanitized``)
tsan   a thread of the system for each CUDA thread, under ThreadSanitizer (likewise); 1024 threads at most

What it does not see: anything of the hardware itself (timing, weak memory order, rounding of CUDA's own functions),
partial warp masks, votes, cooperative groups, textures, inline PTX.
"""

import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

HERE = Path(__file__).resolve().parent
GUARD = 256  # bytes of 0xFF (NaN) before and after each array
SHARED_MOST = 48 * 1024
_LAUNCHING = threading.Lock()  # a launch at a time: its threads and blocks are globals of the shim

_BARRIER = re.compile(r"__sync(threads|warp)|__shfl")
_SIGNATURE = re.compile(
    r"__global__\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)\s*\{"
)
_DTYPES = {
    "float": "f4",
    "double": "f8",
    "int": "i4",
    "unsigned int": "u4",
    "unsigned": "u4",
    "long long": "i8",
    "unsigned long long": "u8",
    "short": "i2",
    "unsigned short": "u2",
    "unsigned char": "u1",
    "signed char": "i1",
    "bool": "?",
    "float2": "c8",
    "double2": "c16",
}
_FLAGS = {
    "fiber": ["-O2"],
    "asan": [
        *("-O1", "-g", "-fsanitize=address,undefined"),
        *("-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer"),
    ],
    "tsan": ["-O1", "-g", "-fsanitize=thread", "-DCPU_PTHREADS", "-pthread"],
}


class ShimError(RuntimeError):
    """The kernel did something CUDA does not allow, or something that is not modelled."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a kernel: its C type, and the dtype that fits."""

    ctype: str
    pointer: bool
    dtype: str | None


class RawModule:
    """A CUDA source, built for the CPU; what was built is kept by its text."""

    order: ClassVar[int] = 0  # of threads and blocks: 0 forward, 1 reverse, from 2 on shuffled by this seed
    fused: ClassVar[bool] = False  # multiply and add in one rounding, as a GPU may

    def __init__(self, *, code: str, options: Sequence[str] = (), **_: Any) -> None:
        self.engine = os.environ.get("CUDA_ON_CPU", "fiber")
        plain = _without_comments(code)
        self.signatures = _signatures(plain)
        if not self.signatures:
            raise ShimError("no __global__ function found")
        self.has_barriers = bool(_BARRIER.search(plain))
        self._library = ctypes.CDLL(str(self._built(plain, options)))
        self._library.cpu_error.restype = ctypes.c_char_p

    def get_function(self, name: str) -> "Function":
        """Return one of the module's kernels."""
        if name not in self.signatures:
            raise ShimError(f"no kernel {name!r}; there are {sorted(self.signatures)}")
        return Function(self, name)

    def _built(self, plain: str, options: Sequence[str]) -> Path:
        parts = ['#include "shim.h"', _shared_in_arena(plain)]
        for name, parameters in self.signatures.items():
            call = ", ".join(f"*({one.ctype}*)a[{i}]" for i, one in enumerate(parameters))
            launch = f"{{ return cuda_cpu::launch(c, [=]{{ {name}({call}); }}); }}"
            parts.append(f'extern "C" int cpu_launch_{name}(const unsigned* c, void** a) {launch}')
        parts.append('extern "C" const char* cpu_error() { return cuda_cpu::error.c_str(); }')
        text = "\n".join(parts)
        compiler = os.environ.get("CXX", "g++")
        flags = [
            *_FLAGS[self.engine],
            *("-std=c++17", "-fPIC", "-shared", "-fno-strict-aliasing", "-Wall", "-Wno-unused-function"),
            *("-Wno-unknown-pragmas", "-Werror=uninitialized", f"-I{HERE}"),
            *(("-mfma", "-ffp-contract=fast") if self.fused else ("-ffp-contract=off",)),
            *(option for option in options if option.startswith("-D")),
        ]
        key = hashlib.sha256((HERE / "shim.h").read_bytes() + text.encode() + " ".join([compiler, *flags]).encode())
        folder = Path(tempfile.gettempdir()) / f"cuda-on-cpu-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        library = folder / f"{key.hexdigest()[:24]}.so"
        if not library.exists():
            with tempfile.TemporaryDirectory(dir=folder) as name:
                source, built = Path(name) / "k.cpp", Path(name) / "k.so"
                source.write_text(text)
                told = subprocess.run([compiler, *flags, "-o", built, source], capture_output=True, text=True)
                if told.returncode:
                    raise ShimError(f"the kernel does not compile as C++:\n{told.stderr}")
                built.replace(library)
        return library


class Function:
    """A kernel to launch; strict where CuPy, which hands over whatever bits it is given, is silent."""

    def __init__(self, module: RawModule, name: str) -> None:
        self.module, self.name = module, name
        self._launch = getattr(module._library, f"cpu_launch_{name}")

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: Sequence[Any], *, shared_mem: int = 0
    ) -> None:
        """Run it; what it wrote is in the arrays afterwards. ShimError for what it may not do."""
        parameters = self.module.signatures[self.name]
        if len(args) != len(parameters):
            raise ShimError(f"{self.name} takes {len(parameters)} arguments, not {len(args)}")
        shape = [*grid, *(1,) * (3 - len(grid)), *block, *(1,) * (3 - len(block))]
        _check_launch(shape, shared_mem)
        held: list[Any] = []
        pointers = (ctypes.c_void_p * len(parameters))()
        guarded = []
        for i, (given, parameter) in enumerate(zip(args, parameters, strict=True)):
            where = f"{self.name}, argument {i} ({parameter.ctype})"
            _check_argument(given, parameter, where)
            if not parameter.pointer:
                value = np.array(given)
                held.append(value)
                pointers[i] = value.ctypes.data
                continue
            address = given.ctypes.data
            if self.module.engine == "fiber":
                raw = np.full(given.nbytes + 2 * GUARD, 0xFF, np.uint8)
                raw[GUARD : GUARD + given.nbytes] = np.frombuffer(given.tobytes(), np.uint8)
                guarded.append((given, raw, where, "const" in parameter.ctype))
                address = raw.ctypes.data + GUARD
            pointer = ctypes.c_void_p(address)
            held.append(pointer)
            pointers[i] = ctypes.cast(ctypes.pointer(pointer), ctypes.c_void_p)
        settings = (ctypes.c_uint * 9)(*shape, shared_mem, int(self.module.has_barriers), RawModule.order)
        with _LAUNCHING:
            wrong = self._launch(settings, pointers)
            complaint = self.module._library.cpu_error().decode()
        for given, raw, where, constant in guarded:
            if (raw[:GUARD] != 0xFF).any() or (raw[-GUARD:] != 0xFF).any():
                raise ShimError(f"{where}: written outside the array")
            if not constant:
                given[...] = raw[GUARD:-GUARD].view(given.dtype).reshape(given.shape)
        if wrong:
            raise ShimError(f"{self.name}: {complaint}")


def sanitized(engine: str, arguments: Sequence[str], timeout: float = 300) -> "subprocess.CompletedProcess[str]":
    """Run Python with a sanitizer's library loaded first; exit code 66 when it found something."""
    library = {"asan": "libasan.so", "tsan": "libtsan.so"}[engine]
    compiler = os.environ.get("CXX", "g++")
    path = subprocess.run([compiler, f"-print-file-name={library}"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(path):
        raise FileNotFoundError(f"{library} is not installed with {compiler}")
    environment = {
        **os.environ,
        "CUDA_ON_CPU": engine,
        "PYTHONPATH": os.pathsep.join(str(HERE.parents[1] / folder) for folder in ("gpu", "kernels")),
        "LD_PRELOAD": os.path.realpath(path),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONMALLOC": "malloc",
        "UBSAN_OPTIONS": "exitcode=66",
        "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0:exitcode=66",
        "TSAN_OPTIONS": "exitcode=66:halt_on_error=1:report_signal_unsafe=0",
    }
    fixed = ["setarch", "-R"] if engine == "tsan" and shutil.which("setarch") else []  # its map has fixed addresses
    command = [*fixed, sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout)


def _check_launch(shape: Sequence[int], shared: int) -> None:
    grid, block = shape[:3], shape[3:]
    if block[0] * block[1] * block[2] > 1024 or block[2] > 64:
        raise ShimError("more than 1024 threads a block (or 64 along z)")
    if min(shape) < 1 or grid[0] > 2**31 - 1 or max(grid[1:]) > 65535:
        raise ShimError(f"grid {grid} or block {block} is out of range (CuPy turns a 0 into a 1 and launches)")
    if shared > SHARED_MOST:
        raise ShimError("over 48 KiB of dynamic shared memory")


def _check_argument(given: Any, parameter: Parameter, where: str) -> None:
    if not parameter.pointer:
        if not isinstance(given, np.generic) or (parameter.dtype and given.dtype != np.dtype(parameter.dtype)):
            raise ShimError(
                f"{where}: pass a NumPy scalar of exactly that type, got {type(given).__name__} "
                "(CuPy would send a Python float as a double)"
            )
        return
    if not isinstance(given, np.ndarray):
        raise ShimError(f"{where}: wants an array, got {type(given).__name__}")
    if parameter.dtype and given.dtype != np.dtype(parameter.dtype):
        raise ShimError(f"{where}: the array is {given.dtype}")
    if not given.flags.c_contiguous:
        raise ShimError(f"{where}: the array is not C-contiguous")


def _without_comments(source: str) -> str:
    """Blank comments out, lines kept: they may hold what looks like code."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda match: re.sub(r"[^\n]", " ", match[0]), source, flags=re.S)


def _signatures(source: str) -> dict[str, list[Parameter]]:
    found = {}
    for name, parameters in _SIGNATURE.findall(source):
        rows = []
        for text in (one.strip() for one in parameters.split(",")):
            ctype = " ".join(re.sub(r"\w+\s*$", "", re.sub(r"\b__restrict__\b", " ", text)).split())
            base = " ".join(re.sub(r"\bconst\b|\*", " ", ctype).split())
            rows.append(Parameter(ctype, "*" in ctype, _DTYPES.get(base)))
        found[name] = rows
    return found


def _shared_in_arena(source: str) -> str:
    """Make each ``__shared__`` variable a reference into the block's own arena."""
    source = re.sub(
        r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;", r"\1* \2 = (\1*)::cuda_cpu::dyn_shared();", source
    )
    source = re.sub(
        r"__shared__\s+([\w ]+?)\s+(\w+)\s*((?:\[[^\]]+\])+)\s*;",
        r"typedef \1 \2_sh_t\3; \2_sh_t& \2 = *(\2_sh_t*)::cuda_cpu::shared_array(__COUNTER__, sizeof(\2_sh_t));",
        source,
    )
    if "__shared__" in source:
        raise ShimError("a __shared__ declaration that is not modelled: one array a statement")
    return source
