"""The compiled unpacking of 4-bit pixels against its definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.kernels.cpu import nibbles as compiled
from pypcore.kernels.reference import nibbles as reference


@given(rows=st.integers(0, 6), width=st.integers(1, 40), seed=st.integers(0, 9))
def test_compiled_and_reference_agree(rows, width, seed):
    packed = np.random.default_rng(seed).integers(0, 256, (rows, (width + 1) // 2), dtype=np.uint8)
    unpacked = compiled.unpack_nibbles(packed, width)
    assert unpacked.shape == (rows, width)
    np.testing.assert_array_equal(unpacked, reference.unpack_nibbles(packed, width))


def test_the_low_nibble_is_the_left_pixel_and_padding_is_dropped():
    packed = np.array([[0x21, 0xF3], [0x54, 0xF6]], np.uint8)
    np.testing.assert_array_equal(compiled.unpack_nibbles(packed, 3), [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize("unpack", [compiled.unpack_nibbles, reference.unpack_nibbles])
@pytest.mark.parametrize(("row_bytes", "width"), [(2, 5), (2, 2), (0, 0), (3, -1)])
def test_a_width_that_does_not_fit_is_refused(unpack, row_bytes, width):
    with pytest.raises(ValueError, match="4-bit pixels"):
        unpack(np.zeros((2, row_bytes), np.uint8), width)
