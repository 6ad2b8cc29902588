"""Definition of the unpacking of 4-bit pixels (MRC mode 101)."""

import numpy as np
import numpy.typing as npt


def unpack_nibbles(packed: npt.NDArray[np.uint8], width: int) -> npt.NDArray[np.uint8]:
    """Unpack rows of 4-bit pixels: the low nibble of a byte is the left pixel of its pair.

    ``packed`` is [y, bytes], each row padded to whole bytes: ``(width + 1) // 2`` of them. Returns [y, width]
    with values 0 to 15. Raises ValueError when the row length does not fit ``width``.
    """
    rows, row_bytes = packed.shape
    if width < 1 or row_bytes != (width + 1) // 2:
        raise ValueError(f"a row of {width} 4-bit pixels takes {(width + 1) // 2} bytes, not {row_bytes}")
    pixels = np.stack([packed & 0x0F, packed >> 4], axis=-1)
    return pixels.reshape(rows, 2 * row_bytes)[:, :width]
