"""From two half maps to a resolution and a sharpened map: arrays in, arrays out.

``masks`` says where the particle is, ``fsc`` how far the halves agree, ``sharpen`` what to multiply the map's
amplitudes with; ``tables`` and ``picture`` write what was found.
"""
