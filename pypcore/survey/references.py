"""Gain references and lists of bad pixels that lie about, and whether they fit the movies."""

from pathlib import Path, PureWindowsPath

from pypcore.errors import InputError
from pypcore.survey.facts import Fact, Survey

_NOT_READ = (".dm4",)


def find_gain(
    survey: Survey, candidates: list[Path], named: list[Fact], shape: tuple[int, int] | None, eer: bool
) -> None:
    """Note the gain reference: the one that fits, by the name that an mdoc gives where there are several.

    ``shape`` is (height, width) of the movies.
    """
    wanted = {PureWindowsPath(str(one.value)).stem for one in named}
    usable: list[tuple[Path, str]] = []
    unfit: list[Path] = []
    for path in candidates:
        if path.suffix.lower() in _NOT_READ:
            survey.notes.append(
                f"{path}: a gain in DM4 isn't read; convert it first (IMOD: dm2mrc {path.name} gain.mrc)"
            )
            continue
        if path.suffix.lower() == ".gain" and not eer:
            survey.notes.append(f"{path}: a .gain file belongs to EER movies; passed over")
            continue
        how = _fits(path, shape)
        if how is None:
            unfit.append(path)
        else:
            usable.append((path, how))
    survey.notes += [
        f"{path}: looks like a gain reference, of another size than the movies; passed over" for path in unfit
    ]
    by_name = [(path, how) for path, how in usable if path.stem in wanted]
    chosen = by_name or usable
    if len(chosen) == 1:
        path, how = chosen[0]
        said = next((one.source for one in named if PureWindowsPath(str(one.value)).stem == path.stem), "its name")
        survey.found["gain"] = [Fact(str(path), f"{said}; {how}")]
    elif chosen:
        survey.conflicts["gain"] = [Fact(str(path), f"its name; {how}") for path, how in chosen]
    elif named:
        survey.notes.append(f"the movies' gain reference is called {named[0].value} ({named[0].source}); it isn't here")


def find_defects(survey: Survey, candidates: list[Path], named: list[Fact]) -> None:
    """Note the list or map of bad pixels, where it is one that is read."""
    usable = []
    for path in candidates:
        if path.suffix.lower() == ".txt":
            text = path.read_text(errors="replace")[:4000]
            if any(
                word in text for word in ("CameraSize", "FullColumns", "BadColumns", "BadPixels", "RotationAndFlip")
            ):
                survey.notes.append(
                    f"{path}: SerialEM's list of defects; make a map of it first (IMOD: clip defect -D {path.name} ...)"
                )
                continue
        usable.append(path)
    if len(usable) == 1:
        survey.found["defects"] = [Fact(str(usable[0]), "its name")]
    elif usable:
        survey.conflicts["defects"] = [Fact(str(path), "its name") for path in usable]
    elif named:
        survey.notes.append(f"the movies' defects are in {named[0].value} ({named[0].source}); it isn't here")


def _fits(path: Path, shape: tuple[int, int] | None) -> str | None:
    """Say how a gain's size goes with the movies'; None where it doesn't."""
    from pypcore.formats.movies import open_movie

    try:
        with open_movie(path, least=1, eer_group=1) as image:
            frames, height, width = image.shape
    except InputError:
        return None
    if frames > 1:
        return None
    if shape is None:
        return f"{width} x {height} px"
    if (height, width) == shape:
        return "of the movies' size"
    if (width, height) == shape:
        return "of the movies' size when it is turned by 90 or 270 degrees"
    return None
