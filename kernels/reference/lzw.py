"""Definition of ``lzw_decode``: LZW as in TIFF 6.0 (section 13)."""

import numpy as np
import numpy.typing as npt

_CLEAR, _END, _CODES = 256, 257, 4096


def lzw_decode(data: bytes | bytearray | npt.NDArray[np.uint8], out: npt.NDArray[np.uint8]) -> int:
    """Decode ``data`` into ``out`` and return how many bytes came: until the end code, or either is at its end.

    Codes have 9 to 12 bits, the first bit the highest; they grow a bit one code before they must. A string that the
    room does not take is cut. Raises ValueError for a code that nothing before explains.
    """
    raw = bytes(data)
    stream, bits = int.from_bytes(raw, "big"), 8 * len(raw)
    strings = [bytes([i]) for i in range(256)] + [b"", b""]
    decoded, before, width, bit = bytearray(), b"", 9, 0
    while len(decoded) < out.size and bit + width <= bits:
        bit += width
        code = (stream >> (bits - bit)) & ((1 << width) - 1)
        if code == _END:
            break
        if code == _CLEAR:
            strings, before, width = [bytes([i]) for i in range(256)] + [b"", b""], b"", 9
            continue
        if not before:
            if code > 255:
                raise ValueError("LZW data with a code that means nothing")
            string = bytes([code])
        else:
            if code > len(strings) or code >= _CODES:
                raise ValueError("LZW data with a code that means nothing")
            string = strings[code] if code < len(strings) else before + before[:1]
            if len(strings) < _CODES:
                strings.append(before + string[:1])
                width = min(12, max(width, (len(strings) + 1).bit_length()))
        decoded += string
        before = string
    count = min(len(decoded), out.size)
    out[:count] = np.frombuffer(bytes(decoded[:count]), np.uint8)
    return count
