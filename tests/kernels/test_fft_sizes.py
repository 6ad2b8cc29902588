import sys

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


def test_libraries_agree_and_are_never_mixed():
    pytest.importorskip("mkl_fft", reason="the extra [mkl] is not installed")
    image = np.random.default_rng(0).normal(size=(2, 90, 96)).astype(np.float32)
    ours = fft.rfft2(image)
    with fft.library("mkl"):
        other = fft.rfft2(image)
        back = fft.irfft2(other, (90, 96))
        with pytest.raises(RuntimeError, match="while others in this process use mkl"), fft.library("scipy"):
            pass
    assert (other.dtype, back.dtype) == (np.complex64, np.float32)
    assert np.allclose(other, ours, atol=1e-5 * np.abs(ours).max())
    assert np.allclose(back, image, atol=1e-5)
    assert np.array_equal(fft.rfft2(image), ours), "afterwards it is SciPy's again"


def test_a_library_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "mkl_fft", None)
    fft._mkl.cache_clear()
    with pytest.raises(ImportError), fft.library("mkl"):
        pass
    with pytest.raises(ValueError, match="scipy and mkl"), fft.library("fftw"):
        pass
