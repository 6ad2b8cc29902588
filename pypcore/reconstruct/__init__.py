"""Single particles to a map: arrays in, arrays out.

``particles`` says what is known of particles, ``transfer`` what the microscope did to them, ``accumulator`` adds
them to the Fourier volumes of two half maps, ``symmetry`` and ``finish`` make maps of those; ``project`` goes the
other way. Conventions of axes and angles stand in ``pypcore.geometry``.
"""
