"""The LZW decoder against imagecodecs' encoder and decoder, and against data that no encoder wrote."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore import kernels
from pypcore.kernels.cpu.lzw import lzw_decode

reference = kernels.get("lzw_decode", "reference")
GUARD = 64


def decoded(decode, data, room):
    """Decode into the middle of a larger array, and see that nothing around it was touched."""
    whole = np.full(room + 2 * GUARD, 0xA5, np.uint8)
    try:
        count = decode(data, whole[GUARD : GUARD + room])
    except ValueError:
        count = None
    assert (whole[:GUARD] == 0xA5).all()
    assert (whole[GUARD + room :] == 0xA5).all()
    return count, whole[GUARD : GUARD + (count or 0)].tobytes()


@pytest.mark.parametrize("rate", [0.0, 0.03, 1.4, 200.0])
def test_counts_come_back(rate):
    counts = np.minimum(np.random.default_rng(0).poisson(rate, 300_000), 255).astype(np.uint8)
    assert decoded(lzw_decode, imagecodecs.lzw_encode(counts), counts.size) == (counts.size, counts.tobytes())


@given(st.binary(max_size=3000) | st.lists(st.sampled_from([b"a", b"ab", b"\0" * 40]), max_size=300).map(b"".join))
def test_anything_comes_back(text):
    encoded = imagecodecs.lzw_encode(text) if text else b"\x80\x40\x40"
    assert decoded(lzw_decode, encoded, len(text)) == (len(text), text)
    assert decoded(reference, encoded, len(text)) == (len(text), text)


@given(st.integers(0, 2**32), st.integers(0, 400), st.integers(0, 30))
def test_damaged_data_mean_the_same_to_both_and_nothing_is_touched_outside(seed, room, flips):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1.0, 300).astype(np.uint8)
    data = bytearray(imagecodecs.lzw_encode(counts))
    for _ in range(flips):
        data[rng.integers(len(data))] = rng.integers(256)
    data = data[: rng.integers(len(data) + 1)]
    assert decoded(lzw_decode, data, room) == decoded(reference, data, room)


@given(st.binary(max_size=400), st.integers(0, 5000))
def test_noise_means_the_same_to_both_and_nothing_is_touched_outside(data, room):
    assert decoded(lzw_decode, data, room) == decoded(reference, data, room)


def test_more_than_the_table_holds_and_no_clear_code():
    """Some writers never clear: from 4096 strings on nothing is added."""
    codes = [256, *([65] * 6000), 257]
    stream, bits, width, strings, before = 0, 0, 9, 258, False
    for code in codes:
        stream, bits = (stream << width) | code, bits + width
        if code == 256:
            continue
        if before and strings < 4096:
            strings += 1
            width = min(12, max(width, (strings + 1).bit_length()))
        before = True
    data = (stream << (-bits % 8)).to_bytes((bits + 7) // 8, "big")
    assert decoded(lzw_decode, data, 7000) == decoded(reference, data, 7000) == (6000, b"A" * 6000)
