"""How a program ended: what its exit code, a signal and its last words mean."""

import re
import signal

from pypcore.programs.card import Program
from pypcore.programs.process import Ended, ProgramError

_GPU_MEMORY = (
    r"CUDA out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|OutOfMemoryError: CUDA|ResourceExhausted"
)
_HOST_MEMORY = r"std::bad_alloc|^MemoryError|Cannot allocate memory|oom-kill|DefaultCPUAllocator: can't allocate"
_CRASH = r"^Traceback \(most recent call last\)|Segmentation fault|core dumped"
ALWAYS_FATAL = (_GPU_MEMORY, _HOST_MEMORY, _CRASH)  # in any program's output


def refuse_failure(program: Program, ended: Ended) -> None:
    """Raise ProgramError, or MemoryError where the host's memory ran out, for an end that is no success."""
    said = ended.last_words if ended.fatal.startswith("Traceback") else ended.fatal or ended.last_words
    tail = f": {said}" if said else ""
    text = "\n".join([*ended.lines, ended.fatal])
    if re.search(_GPU_MEMORY, text):
        raise ProgramError(
            f"{program.name} ran out of GPU memory{tail}; use a larger GPU, or smaller pieces or batches"
        )
    if re.search(_HOST_MEMORY, text, re.MULTILINE) or ended.code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        raise MemoryError(f"{program.name}{tail or ' was killed for want of memory'}")
    if ended.code < 0 or 128 < ended.code < 160:
        number = -ended.code if ended.code < 0 else ended.code - 128
        raise ProgramError(f"{program.name} was killed by {signal.Signals(number).name}{tail}")
    if ended.code:
        meaning = program.exits.get(str(ended.code), "")
        raise ProgramError(f"{program.name} exited with {ended.code}{f' ({meaning})' if meaning else ''}{tail}")
    if ended.fatal:
        raise ProgramError(f"{program.name} exited with 0, but said: {said}")
