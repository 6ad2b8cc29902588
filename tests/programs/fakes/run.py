"""Start a fake: ``run.py NAME ARGUMENTS``. Which module has it is found by its name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import czii
import python_programs

name, arguments = sys.argv[1], sys.argv[2:]
PROGRAMS = {
    "MotionCor3": czii.motioncor3,
    "AreTomo2": czii.aretomo2,
    "AreTomo3": czii.aretomo3,
    **python_programs.PROGRAMS,
}
PROGRAMS[name](arguments)
