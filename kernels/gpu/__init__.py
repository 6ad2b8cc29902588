"""Kernels for NVIDIA GPUs: CUDA sources, and the CuPy code that launches them.

Imported only where a GPU was asked for. The sources are plain CUDA C, one file a module, so that they can be compiled
for every architecture and run on a CPU emulator without a GPU (``tests/gpu``).
"""
