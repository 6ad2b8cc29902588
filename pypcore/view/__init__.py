"""A job folder as plain values, for people's eyes: what the panel, the report and ``status`` show.

One truth: where items stand comes from ``glance``, what was used from ``efficiency``. Light: no NumPy.
"""
