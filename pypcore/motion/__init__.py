"""Motion correction of movies: arrays in, arrays out.

What is offered here is imported when it is asked for: a part of this package that others use, such as its threads,
should not bring SciPy's optimisers along.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypcore.motion.correct import Corrected, correct_movie
    from pypcore.motion.field import MotionField
    from pypcore.motion.frames import FrameSource
    from pypcore.motion.settings import MotionSettings

__all__ = ["Corrected", "FrameSource", "MotionField", "MotionSettings", "correct_movie"]

_WHERE = {
    "Corrected": "correct",
    "FrameSource": "frames",
    "MotionField": "field",
    "MotionSettings": "settings",
    "correct_movie": "correct",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for by name."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
