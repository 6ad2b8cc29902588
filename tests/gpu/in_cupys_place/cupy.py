"""Stands in for CuPy in a process of its own: put this folder, and the one above, on PYTHONPATH."""

import os
import sys

import fake_cupy

fake_cupy.configure(
    len(os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")) if "CUDA_VISIBLE_DEVICES" in os.environ else 1
)
sys.modules[__name__] = fake_cupy
