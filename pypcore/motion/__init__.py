"""Motion correction of movies: arrays in, arrays out."""

from pypcore.motion.correct import Corrected, correct_movie
from pypcore.motion.field import MotionField
from pypcore.motion.frames import FrameSource
from pypcore.motion.settings import MotionSettings

__all__ = ["Corrected", "FrameSource", "MotionField", "MotionSettings", "correct_movie"]
