"""What a program left: there, newer than its start, whole, readable and finite; or one line that says what is wrong."""

import json
from collections.abc import Sequence
from pathlib import Path

from pypcore.errors import InputError
from pypcore.programs.card import Check, Output

_SLACK_NS = 2_000_000_000  # some file systems keep times to a second or two
_BLOCK = 1 << 24


class BadOutput(Exception):
    """A declared output is missing or no good; the message says which and how."""


def find_output(output: Output, folder: Path, began_ns: int) -> Path | None:
    """Return the file that an output's pattern finds in ``folder``, checked; None where it may be missing and is.

    Raises BadOutput where it is missing, older than ``began_ns``, an input that shows through, or unfit.
    """
    found = sorted(path for path in folder.glob(output.file) if not path.is_symlink())
    if not found:
        if output.optional:
            return None
        raise BadOutput(f"it left no {output.file}")
    if len(found) > 1:
        raise BadOutput(f"{output.file} is {len(found)} files: {', '.join(path.name for path in found[:3])}")
    (path,) = found
    if path.stat().st_mtime_ns < began_ns - _SLACK_NS:
        raise BadOutput(f"its {path.name} is older than its start")
    check(path, output.check)
    return path


def check(path: Path, how: Check) -> None:
    """Raise BadOutput where a file is not what it should be."""
    if how == "folder":
        if not path.is_dir() or not any(path.iterdir()):
            raise BadOutput(f"its {path.name} is no folder with something in it")
        return
    if path.stat().st_size == 0:
        raise BadOutput(f"its {path.name} is empty")
    try:
        match how:
            case "image" | "labels":
                _check_image(path, flat_is_wrong=how == "image")
            case "star":
                from pypcore.formats.star import read_star

                read_star(path)
            case "json":
                json.loads(path.read_text(encoding="utf-8"))
            case "text":
                _check_lines(path)
            case "file":
                pass
    except (InputError, ValueError, UnicodeDecodeError) as error:
        raise BadOutput(f"its {path.name} can't be read: {error}") from error


def _check_lines(path: Path) -> None:
    """A text is lines, and its last one has an end too: else it was cut off."""
    data = path.read_bytes()
    if b"\0" in data[:4096]:
        raise BadOutput(f"its {path.name} is not text")
    if not data.endswith(b"\n"):
        raise BadOutput(f"its {path.name} is cut off: the last line has no end")


def _check_image(path: Path, *, flat_is_wrong: bool) -> None:
    """Read an MRC file section by section: as long as its header says, every pixel finite, not all the same."""
    import numpy as np

    from pypcore.formats.mrc import HEADER_BYTES, check_length, parse_header

    with path.open("rb") as file:
        header = parse_header(file.read(HEADER_BYTES), path)
        check_length(header, path.stat().st_size, path)
        file.seek(header.offset)
        lowest, highest = np.inf, -np.inf
        for section in range(header.shape[0]):
            image = header.unpack(bytearray(file.read(header.section_bytes)))
            if image.dtype.kind == "f" and not np.isfinite(image).all():
                bad = int(np.count_nonzero(~np.isfinite(image)))
                raise BadOutput(f"its {path.name} has {bad} pixels that are not finite in section {section + 1}")
            lowest, highest = min(lowest, float(image.min())), max(highest, float(image.max()))
    if flat_is_wrong and lowest == highest:
        raise BadOutput(f"every pixel of its {path.name} is {lowest:g}")


def wanted(outputs: Sequence[Output], given: dict[str, object]) -> list[Output]:
    """Return the outputs that these parameters ask for."""
    return [one for one in outputs if all(given.get(name) not in (None, False, "", 0) for name in one.when)]
