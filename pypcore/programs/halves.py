"""Halves of tomograms: from the name of one to the other."""

from pathlib import Path

from pypcore.errors import InputError


def other_half(path: Path, halves: tuple[str, str]) -> Path:
    """Return the file whose name has the second mark where this one has the first; InputError where it isn't there."""
    first, second = halves
    head, found, tail = path.name.rpartition(first)
    if not found:
        raise InputError(
            f"{path.name}: '{first}' is not in its name, so its other half can't be told; give --halves A,B"
        )
    other = path.with_name(head + second + tail)
    if not other.is_file():
        raise InputError(f"{path.name}: its other half {other.name} is not beside it")
    return other


def whole_name(name: str, halves: tuple[str, str]) -> str:
    """Return an item's name without the mark of a half."""
    return "".join(name.rpartition(halves[0])[::2]) or name
