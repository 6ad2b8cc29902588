"""Motion correction on GPUs: the stages of ``pypcore.motion``, with the same arguments and the same meaning.

What is small stays on the CPU: decoding, bad pixels, the fit of the motion's prior. Imported only where a GPU is asked
for. None of it has run on a GPU: docs/gpu.md says how it is checked.
"""
