"""Choices among whole numbers, which a command line gives as text."""

import pytest
from pydantic import ValidationError

from pypcore.operations.reconstruct_parameters import ReconstructParameters
from pypcore.operations.tomogram_parameters import TomogramParameters


def test_a_number_given_as_text_is_that_number() -> None:
    assert ReconstructParameters(padding="2").padding == 2
    assert TomogramParameters(handedness="-1", gain_rotate=" 90 ").gain_rotate == 90
    assert TomogramParameters(handedness="-1").handedness == -1


@pytest.mark.parametrize("given", ["3", "two", "1.0", ""])
def test_others_are_refused(given: str) -> None:
    with pytest.raises(ValidationError, match="Input should be 1 or 2"):
        ReconstructParameters(padding=given)
