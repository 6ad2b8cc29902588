"""What a case of a kernel's parity test is, for all who write them."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Arguments: TypeAlias = tuple[list[Any], list[int]]  # and which of them are written
Case: TypeAlias = Callable[[np.random.Generator, int], Arguments]  # for a size of 8, 37 or 64
