"""Looking at a folder: what kind of data it holds, what its files say, what they don't."""

import os
from pathlib import Path

from pypcore.errors import InputError, UsageError
from pypcore.survey.facts import Fact, Survey, span
from pypcore.survey.files import Files, list_files, pattern_of
from pypcore.survey.movies import Look, look_at_movies
from pypcore.survey.references import find_defects, find_gain
from pypcore.survey.series import Series, look_at_series

KINDS = ("auto", "movies", "tilts")


def look_at(folder: Path, kind: str = "auto", root: Path | None = None) -> Survey:
    """Survey a folder; UsageError where it holds no data, or no such folder is there.

    ``kind``: ``movies`` for motioncorr, ``tilts`` for tomogram; ``auto``: tilts where an mdoc of a tilt series is.
    Paths are told relative to ``root`` (the current folder) where they lie below it.
    """
    if kind not in KINDS:
        raise UsageError(f"--kind '{kind}' is not one of {', '.join(KINDS)}")
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    root = (root or Path.cwd()).absolute()
    files = list_files(_short(folder, root))
    series = Series()
    if kind != "movies":
        series = look_at_series(files.mdocs, files.movies, _shape_of)
    if kind == "tilts" and not series.mdocs and not files.stacks:
        raise UsageError(f"{folder}: no mdoc of a tilt series below it, and no stack with a file of angles")
    if series.mdocs or (files.stacks and (kind == "tilts" or not files.movies)):
        return _of_tilts(folder, files, series, root)
    if files.movies:
        return _of_movies(folder, files, root)
    raise UsageError(
        f"{folder}: no movie (MRC, TIFF, EER), no mdoc of a tilt series and no stack with angles below it; "
        "give the folder that the microscope writes to"
    )


def _of_movies(folder: Path, files: Files, root: Path) -> Survey:
    look = look_at_movies(files)
    pattern = pattern_of([path.absolute() for path in files.movies], root)
    survey = Survey(str(folder), "motioncorr", [pattern], _describe(files, look))
    survey.notes = [*files.notes, *look.notes]
    references = {key: look.facts.pop(key, []) for key in ("gain", "defects")}
    if look.eer_frames is not None:
        look.facts.pop("dose", None)  # of a fraction, which is to be chosen
    survey.settle(look.facts)
    shape = look.shape[1:] if look.shape else None
    find_gain(survey, files.gains, references["gain"], shape, look.eer_frames is not None)
    find_defects(survey, files.defects, references["defects"])
    survey.ask("pixel_size", "Pixel size of the movies, Å?", "0.83")
    what = "a fraction of the movie" if look.eer_frames is not None else "one frame of the movie"
    survey.ask("dose", f"Dose of {what}, e-/Å²? (Without it: dose_weighting = false)", "1.25")
    survey.ask("voltage", "Acceleration voltage, kV?", "300")
    if look.eer_frames is not None:
        survey.ask(
            "eer_fractions",
            f"EER of {look.eer_frames} raw frames: into how many fractions? (or eer_group: raw frames in each)",
            str(max(2, round(look.eer_frames / 30))),
        )
    _ask_of_gain(survey, set(look.kinds))
    return survey


def _of_tilts(folder: Path, files: Files, series: Series, root: Path) -> Survey:
    if series.mdocs:
        pattern = pattern_of([path.absolute() for path in series.mdocs], root)
        views = span(series.views)
        summary = f"{len(series.mdocs)} tilt series of {views} views (mdocs), {len(files.movies)} movies"
    else:
        pattern = pattern_of([path.absolute() for path in files.stacks], root)
        summary = f"{len(files.stacks)} stacks with their angles"
    survey = Survey(str(folder), "tomogram", [pattern], summary)
    survey.notes = [*files.notes, *series.notes]
    if series.frames is not None:
        survey.found["frames"] = [Fact(str(_short(series.frames, root)), "where the movies lie that the mdocs name")]
    movies = look_at_movies(Files(files.folder, movies=files.movies)) if files.movies else Look()
    facts = dict(series.facts)
    if files.stacks and not series.mdocs:
        facts |= look_at_movies(Files(files.folder, movies=files.stacks)).facts
    elif movies.facts.get("pixel_size"):
        facts["pixel_size"] = [*facts.get("pixel_size", []), *movies.facts["pixel_size"]]
    survey.settle({key: values for key, values in facts.items() if key not in series.doubts})
    shape = movies.shape[1:] if movies.shape else None
    find_gain(survey, files.gains, [], shape, movies.eer_frames is not None)
    find_defects(survey, files.defects, [])
    for key, doubt in series.doubts.items():
        values = ", ".join(f"{one.value:g}" for one in facts.get(key, [])) or ""
        survey.ask(key, doubt, values)
    survey.ask("pixel_size", "Pixel size of the images or movies as recorded, Å?", "1.35")
    survey.ask("tilt_axis", "Tilt axis, degrees from +y? (Without it all directions are tried)", "85.3")
    survey.ask("voltage", "Acceleration voltage, kV? (Needed for dose weighting and CTF)", "300")
    survey.ask("dose", "Dose of one view, e-/Å²? (Needed for dose weighting)", "3")
    survey.ask("thickness", "Thickness of the tomogram, unbinned pixels? (Without it: 3000 Å)", "1200")
    survey.ask("handedness", "How defocus changes with depth, 1 or -1? (Needed for ctf; no file says it)", "-1")
    if movies.eer_frames is not None:
        survey.ask("eer_fractions", f"EER of {movies.eer_frames} raw frames: into how many fractions?", "8")
    if movies.kinds:
        _ask_of_gain(survey, set(movies.kinds))
    return survey


def _ask_of_gain(survey: Survey, kinds: set[str]) -> None:
    if "gain" in survey.found or "gain" in survey.conflicts:
        survey.ask(
            "gain_rotate", "How is the gain turned against the movies, degrees? (MotionCor2's RotGain times 90)", "0"
        )
        survey.ask(
            "gain_flip", "Then how is it flipped: none, ud, lr? (MotionCor2's FlipGain: 1 is ud, 2 is lr)", "none"
        )
    if "gain" in survey.conflicts:
        survey.ask("gain", "Which of these is the gain reference?")
    elif "gain" not in survey.found and not kinds <= {"float32", "float16"}:
        survey.ask(
            "gain",
            "Gain reference? None was found, and the movies are whole counts; leave it out if it is applied",
            "gain.mrc",
        )


def _describe(files: Files, look: Look) -> str:
    if look.shape is None:
        return f"{len(files.movies)} files that look like movies; none could be opened"
    frames, height, width = look.shape
    kinds = ", ".join(sorted(look.kinds))
    raw = f"{look.eer_frames} raw frames" if look.eer_frames is not None else f"{frames} frames"
    return f"{len(files.movies)} movies of {width} x {height} px, {raw}, {kinds}"


def _shape_of(path: Path) -> tuple[int, int] | None:
    from pypcore.formats.movies import open_movie

    try:
        with open_movie(path, eer_group=1, least=1) as movie:
            return movie.shape[1], movie.shape[2]
    except InputError:
        return None


def _short(path: Path, root: Path) -> Path:
    absolute = Path(os.path.abspath(path))
    return absolute.relative_to(root) if absolute.is_relative_to(root) else absolute
