"""Kernels for the processor: Numba and Cython."""
