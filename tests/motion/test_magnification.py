"""Anisotropic magnification: the direction, the angle, and nothing lost by it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

from pypcore.errors import UsageError
from pypcore.motion import correct_movie
from pypcore.motion.magnification import stretch


def test_the_stretch_is_along_the_major_axis():
    """At 90 degrees the major axis is y, at 45 degrees it is the diagonal x = y."""
    assert np.allclose(stretch(1.02, 1.0, 0.0) @ [0, 1], [0, 1.02])
    assert np.allclose(stretch(1.02, 0.99, 90.0) @ [1, 0], [1.02, 0])
    assert np.allclose(stretch(1.02, 0.99, 45.0) @ [1, 1], [1.02, 1.02])
    assert np.allclose(stretch(1.02, 0.99, 45.0) @ [1, -1], [0.99, -0.99])


@pytest.mark.parametrize("angle", [0.0, 35.0, 120.0])
def test_a_micrograph_is_the_frames_stretched_about_their_centre(make_movie, settings, angle):
    steps = np.stack([np.linspace(0, 4, 6), np.linspace(0, -3, 6)], 1)
    movie = make_movie(steps, (300, 420), rate=30.0)
    plain = correct_movie(movie, settings(dose_weighting=False, patches=(0, 0)))
    stretched = correct_movie(movie, settings(dose_weighting=False, patches=(0, 0), magnification=(1.02, 0.99, angle)))
    assert np.array_equal(plain.field.whole, stretched.field.whole), "motion is found on the frames as they are"
    ys, xs = np.meshgrid(np.arange(300.0), np.arange(420.0), indexing="ij")
    back = np.linalg.inv(stretch(1.02, 0.99, angle))
    from_y, from_x = np.tensordot(back, [ys - 149.5, xs - 209.5], 1) + np.array([149.5, 209.5])[:, None, None]
    expected = map_coordinates(plain.micrograph, [from_y, from_x], order=5)
    # White noise up to Nyquist feels that a displacement holds for squares of 16 px; detail of 8 px does not.
    for width, allowed in ((0.0, 0.18), (2.0, 0.04)):
        seen, wanted, unmoved = (
            gaussian_filter(image, width)[20:-20, 20:-20]
            for image in (stretched.micrograph, expected, plain.micrograph)
        )
        assert (seen - wanted).std() < allowed * wanted.std()
        assert (unmoved - wanted).std() > 0.5 * wanted.std(), "the test sees a stretch"


def test_a_stretch_that_is_a_typing_error_is_refused(settings):
    with pytest.raises(UsageError, match=r"between 0\.95 and 1\.05"):
        settings(magnification=(1.2, 1.0, 0.0))
