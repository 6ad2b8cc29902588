import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pypcore.kernels import fft


@given(st.integers(1, 20000), st.sampled_from([1, 2, 4, 6, 10, 14, 274]))
def test_a_good_size_is_the_next_multiple_with_small_factors(n, multiple):
    size = fft.good_size(n, multiple)
    assert size >= n
    assert size % multiple == 0
    rest = size // multiple
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1
    assert size < 2 * n + 2 * multiple


@pytest.mark.parametrize("shape", [(8, 10), (7, 9)])
def test_transforms_are_single_precision_and_there_and_back_is_the_same(shape):
    image = np.random.default_rng(0).normal(size=(3, *shape)).astype(np.float32)
    spectrum = fft.rfft2(image)
    assert spectrum.dtype == np.complex64
    back = fft.irfft2(spectrum, shape)
    assert back.dtype == np.float32
    assert np.allclose(back, image, atol=1e-6)
