"""The definition of every kernel: plain NumPy in float64, slow and obvious."""
