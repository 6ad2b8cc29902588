"""Faults to put into the kernels, each one seen in real GPU code, and the engines of the emulator that must see it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pypcore.kernels.gpu.module as loader

if TYPE_CHECKING:  # under a sanitizer every import counts
    import pytest


@dataclass(frozen=True)
class Mutant:
    """In the source ``source``, ``old`` becomes ``new``; ``kernel`` is wrong then."""

    name: str
    source: str
    kernel: str
    old: str
    new: str
    seen_by: tuple[str, ...] = ("fiber",)

    def __str__(self) -> str:
        return f"{self.source}-{self.name}"

    def text(self) -> str:
        """Return the source with the fault in it."""
        text = (Path(loader.__file__).parent / f"{self.source}.cu").read_text()
        assert text.count(self.old) >= 1, f"{self}: {self.old!r} is not in the source any more"
        return text.replace(self.old, self.new, 1)


_SYNC = "    __syncthreads();\n  }\n  if (threadIdx.x == 0) power"
_MAXIMUM = "    __syncthreads();\n  }\n  if (threadIdx.x == 0) scale"
MUTANTS = [
    Mutant("bound", "warp", "warp_accumulate", "if (x >= width || i >= m) return;", "if (i >= m) return;"),
    Mutant("off-by-one", "warp", "warp_accumulate", "step + r - 2", "step + r - 3"),
    Mutant("tap", "warp", "warp_accumulate", "t[5] = f2 * f2 * f;", "t[5] = f2 * f * f;"),
    Mutant("overwritten", "warp", "warp_accumulate", "+ at] += weights", "+ at] = weights"),
    Mutant("truncated", "warp", "warp_accumulate", "return q * b > a ? q - 1 : q;", "return q;"),
    Mutant("sign", "gradient", "patch_gradient", "r.x * u.y - r.y * u.x", "r.x * u.y + r.y * u.x"),
    Mutant("conjugate", "gradient", "patch_gradient", "re * c - im * s", "re * c + im * s"),
    Mutant("bound", "gradient", "patch_gradient", "if (k >= count) return;", "if (k >= count - 1) return;"),
    Mutant("last-of-shell", "gradient", "patch_gradient", "k < shell_start[s + 1]", "k < shell_start[s + 1] - 1"),
    Mutant("early-return", "gradient", "patch_gradient", "double sum = 0.0;",
           "double sum = 0.0; if (threadIdx.x > 99) return;"),
    Mutant("too-small", "gradient", "patch_gradient", "__shared__ double part[128]", "__shared__ double part[63]",
           ("fiber", "asan")),
    Mutant("no-barrier", "gradient", "patch_gradient", _SYNC, _SYNC.replace("    __syncthreads();\n", ""),
           ("fiber", "tsan")),
    Mutant("bound", "shrink", "shrink_frame", "y < height)", "y <= height)"),
    Mutant("mean", "shrink", "shrink_frame", "+ x] - mean)", "+ x])"),
    Mutant("overwritten", "shrink", "shrink_frame", "+ j] += sum", "+ j] = sum"),
    Mutant("guard", "shrink", "shrink_frame", "if (x >= width || i >= m) return;", "if (i >= m) return;"),
    Mutant("imaginary", "filter", "add_filtered", "factor * spectrum[at].y", "factor * spectrum[at].x"),
    Mutant("row", "filter", "add_filtered", "along_y[y]", "along_y[x]"),
    Mutant("guard", "filter", "add_filtered", "if (x >= width || y >= height)", "if (x >= width)", ("asan",)),
    Mutant("unit", "pack", "pack_spectra", "part[0] / 32767.0f", "part[0] / 32768.0f"),
    Mutant("imaginary", "pack", "pack_spectra", "out[pad[k]]", "out[pad[k] + 1]"),
    Mutant("frame", "pack", "pack_spectra", "damage[(long long)(first + t)", "damage[(long long)(t)"),
    Mutant("no-barrier", "pack", "pack_spectra", _MAXIMUM, _MAXIMUM.replace("    __syncthreads();\n", ""),
           ("fiber", "tsan")),
    Mutant("bound", "cut", "cut_windows", "row < height", "row <= height"),
    Mutant("first", "cut", "cut_windows", "t = first + box % n", "t = box % n"),
    Mutant("window", "cut", "cut_windows", "window_y[p * by + y]", "window_y[p * by + x]"),
    Mutant("guard", "cut", "cut_windows", "if (x >= bx || y >= by)", "if (x >= bx)", ("asan",)),
    Mutant("friedel", "slices", "insert_slices", "share * s * value.y", "share * value.y"),
    Mutant("bound", "slices", "insert_slices", "plane < planes;", "plane < planes - 1;"),
    Mutant("bend", "slices", "insert_slices", "w * (float)bent * t.cosine", "w * t.cosine"),
    Mutant("too-narrow", "slices", "insert_slices", "off <= half + v[THICK]", "off <= v[THICK]"),
    Mutant("past-nyquist", "slices", "insert_slices",
           "|| !within(matrices + 9LL * n, kx, ky, half, limit)", ""),
    Mutant("no-barrier-tiles", "slices", "insert_slices", "passed[thread] = 0;\n    __syncthreads();",
           "passed[thread] = 0;", ("fiber", "tsan")),
    Mutant("conjugate", "slices", "extract_slices", "if (mirrored) total.y = -total.y;", ""),
    Mutant("cut-beyond-nyquist", "slices", "extract_slices", "if (!within(m, kx, ky, half, limit)) return;", ""),
    Mutant("sheet", "slices", "extract_slices", "-0.5f * t.envelope * (float)sheet",
           "0.5f * t.envelope * (float)sheet"),
    Mutant("last-pixel", "tomogram", "backproject", "pixel >= 0 && pixel < pixels)",
           "pixel >= 0 && pixel < pixels - 1)"),
    Mutant("first-pixel", "tomogram", "backproject", "pixel >= -1 && pixel < pixels - 1",
           "pixel >= 0 && pixel < pixels - 1"),
    Mutant("voxel-bound", "tomogram", "backproject", "x0 + i < nx;", "x0 + i < nx - 1;"),
    Mutant("no-barrier-back", "tomogram", "backproject", "    __syncthreads();\n    if (inside)\n      for (int t",
           "    if (inside)\n      for (int t", ("fiber", "tsan")),
    Mutant("pixel-bound", "tomogram", "project", "u0 + i < pixels;", "u0 + i < pixels - 1;"),
    Mutant("closed", "tomogram", "project", "floor(middle - reach) + 1)", "floor(middle - reach) + 2)"),
    Mutant("sign", "tomogram", "project", "-rest / a", "rest / a"),
    Mutant("no-barrier-forward", "tomogram", "project", "    __syncthreads();\n    if (inside)\n      for (int k",
           "    if (inside)\n      for (int k", ("fiber", "tsan")),
    Mutant("bound", "affine", "sample_affine", "row < 0 || row >= height", "row < 0 || row > height"),
    Mutant("transposed", "affine", "sample_affine", "g[2] * i + g[3] * j", "g[3] * i + g[2] * j"),
    Mutant("truncated", "affine", "sample_affine", "low_x = floor(x)", "low_x = trunc(x)"),
]  # fmt: skip


def with_fault(mutant: Mutant, monkeypatch: "pytest.MonkeyPatch") -> None:
    """Make the loader read the source with the fault; the kernels are loaded anew for each order."""
    read = loader.read_source
    monkeypatch.setattr(
        loader, "read_source", lambda source: mutant.text() if source == mutant.source else read(source)
    )
