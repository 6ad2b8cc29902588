"""A nextPYP project file, ``.pyp_config.toml``, to a ``pypcore.toml``; what has no counterpart here is listed.

Names and meanings as in nextPYP 0.7: a flat table, ``slurm_tasks`` threads of a task, memory in GB a thread, ``scope_``
the microscope, ``movie_`` frame alignment. Orders and signs that differ are turned: see ``_gain`` and ``_frames``.
"""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pypcore.errors import InputError, UsageError
from pypcore.exchange.result import Exchanged
from pypcore.resources import Resources

_PHASES = {"": "split", "launch_": "launch", "merge_": "merge"}
_RESOURCES = {"tasks": "threads", "memory_per_task": "memory", "walltime": "walltime", "gres": "gres"}
_OF_SPLIT = {"bundle_size": "bundle_size", "max_cpus": "total_threads", "max_memory": "total_memory"}
_BOTH = {"scope_pixel": "pixel_size", "scope_voltage": "voltage", "scope_cs": "cs", "scope_wgh": "amplitude_contrast"}
_ELSEWHERE = {
    "ctf_": "CTF estimation is an operation of its own here: pypcore run ctffind",
    "detect_": "picking is an operation of its own here: pypcore programs lists them",
    "tomo_ali_": "alignment has no such settings here: it finds its own; --alignment FOLDER takes another's",
    "slurm_daemon": "live sessions: pypcore watch takes the resources of Split",
    "slurm_class2d": "there is no 2-D classification here",
    "slurm_": "not needed here",
    "data_": "names the project inside nextPYP",
    "movie_motioncor": "MotionCor3 is an operation of its own here: pypcore run motioncor3",
    "movie_": "motioncorr has no such setting: it finds its own",
}


@dataclass
class _Draft:
    parameters: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """What has a counterpart and is not taken all the same, and why."""


def import_pyp_config(path: Path, folder: Path, *, force: bool = False) -> Exchanged:
    """Write ``pypcore.toml`` into ``folder``; InputError where the file is none of nextPYP's."""
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error}); give nextPYP's .pyp_config.toml") from error
    if not any(key.startswith(("scope_", "data_", "slurm_", "movie_")) for key in table):
        raise InputError(f"{path}: none of nextPYP's parameters in it (scope_…, slurm_…, movie_…)")
    tomo = table.get("data_mode") == "tomo"
    result, draft = Exchanged("nextPYP project"), _Draft()
    left = {key: value for key, value in table.items() if not isinstance(value, dict)}

    def take(theirs: str, ours: str, value: Any, *, of: dict[str, Any] | None = None) -> None:
        (draft.parameters if of is None else of)[ours] = value
        result.mapped[theirs] = f"{ours} = {value}"
        left.pop(theirs, None)

    _take_resources(left, draft, take)
    _take_scope(left, draft, tomo, take)
    if not tomo:
        _take_movies(left, take)
    else:
        _take_tomography(left, take)
    _take_gain(left, take)
    if not tomo and left.get("movie_group", 1) != 1:
        take("movie_group", "group", int(left["movie_group"]))
    if (reduce := left.get("movie_eer_reduce")) in (2, 4):
        take("movie_eer_reduce", "eer_sampling", {2: 2, 4: 3}[reduce])
    if int(left.get("movie_eer_frames", 1) or 1) > 1:
        take("movie_eer_frames", "eer_group", int(left["movie_eer_frames"]))
    operation = "tomogram" if tomo else "motioncorr"
    inputs = _inputs(left, tomo, take, draft)
    for key, value in left.items():
        if value in (None, "", False, -1):
            continue
        why = next((why for start, why in _ELSEWHERE.items() if key.startswith(start)), "no counterpart here")
        why = draft.left_out.get(key, why)
        result.not_mapped[key] = f"{value}: {why}"
    result.notes += draft.comments
    try:
        Resources.from_dict(draft.resources)
    except UsageError as error:
        raise InputError(f"{path}: its resources: {error}") from error
    result.command = (
        f"pypcore run {operation} {inputs} -o {'tomograms' if tomo else 'motion'} --config {folder / 'pypcore.toml'}"
    )
    target = result.place(folder, "pypcore.toml", force=force)
    target.write_text(_text(path, result, draft), encoding="utf-8")
    return result


def _take_resources(left: dict[str, Any], draft: _Draft, take: Any) -> None:
    for prefix, phase in _PHASES.items():
        if "gpu" in str(left.get(f"slurm_{prefix}gres", "")).lower():
            draft.left_out[f"slurm_{prefix}gres"] = "an operation that needs a GPU asks for it itself; else give --gres"
        table = draft.resources.setdefault(phase, {})
        for theirs, ours in _RESOURCES.items():
            key = f"slurm_{prefix}{theirs}"
            if left.get(key) not in (None, "", 0) and key not in draft.left_out:
                take(key, ours, left[key], of=table)
        legacy = f"slurm_{prefix}memory"  # all of a task's; since nextPYP 0.5 it is given a thread
        if "memory" not in table and left.get(legacy):
            threads = int(table.get("threads", 1))
            take(legacy, "memory", round(float(left[legacy]) / threads, 3), of=table)
    for theirs, ours in _OF_SPLIT.items():
        key = f"slurm_{theirs}"
        if left.get(key) not in (None, "") and (left[key] or theirs != "bundle_size"):
            take(key, ours, left[key], of=draft.resources["split"])
    placement = draft.resources.setdefault("placement", {})
    for key, ours in (("slurm_queue", "partition"), ("slurm_account", "account")):
        if left.get(key):
            take(key, ours, left[key], of=placement)
    if left.get("slurm_queue_gpu"):
        draft.comments.append(f"slurm_queue_gpu = {left['slurm_queue_gpu']}: a site's file sends phases to partitions")


def _take_scope(left: dict[str, Any], draft: _Draft, tomo: bool, take: Any) -> None:
    for theirs, ours in _BOTH.items():
        if left.get(theirs) not in (None, "", 0):
            take(theirs, ours, float(left[theirs]))
    if left.get("scope_dose_rate"):
        take("scope_dose_rate", "dose", float(left["scope_dose_rate"]))
        what = "of one view" if tomo else "of one frame"
        draft.comments.append(f"dose {what}: nextPYP's scope_dose_rate; 1.0 is also its default: check it")
    if left.get("scope_init_dose") and not tomo:
        take("scope_init_dose", "pre_dose", float(left["scope_init_dose"]))
    if left.get("scope_tilt_axis") is not None and tomo:
        axis = float(left.pop("scope_tilt_axis"))
        draft.comments.append(
            f"tilt_axis: scope_tilt_axis is {axis:g}, in its help from the x axis, in its tutorials as mdocs have it; "
            f"it is not taken. In IMOD's sense it is {axis:g} (as in mdocs) or {axis - 90:g}"
        )


def _take_movies(left: dict[str, Any], take: Any) -> None:
    """Take frame alignment. nextPYP counts frames from 0 and leaves out the last; here first and last count from 1."""
    if int(left.get("movie_first", 0) or 0) > 0:
        take("movie_first", "first", int(left["movie_first"]) + 1)
    if int(left.get("movie_last", -1)) > 0:
        take("movie_last", "last", int(left["movie_last"]))
    if "movie_weights" in left:
        take("movie_weights", "dose_weighting", bool(left["movie_weights"]))
    if left.get("movie_depth"):
        take("movie_depth", "float16", True)
    x, y = (int(left.get(f"movie_motioncor_patch_{axis}", 1) or 1) for axis in "xy")
    if left.get("movie_ali") == "motioncor" and min(x, y) >= 2:
        take("movie_motioncor_patch_x", "patches", [x, y])
        take("movie_motioncor_patch_y", "patches", [x, y])
    if left.get("movie_ali") == "motioncor" and float(left.get("movie_motioncor_bin", 1) or 1) > 1:
        take("movie_motioncor_bin", "bin", float(left["movie_motioncor_bin"]))
    if left.pop("movie_magcorr", False):
        for theirs, ours in (("mag_major", "mag_major"), ("mag_minor", "mag_minor"), ("distort_ang", "mag_angle")):
            if left.get(f"scope_{theirs}") is not None:
                take(f"scope_{theirs}", ours, float(left[f"scope_{theirs}"]))


def _take_tomography(left: dict[str, Any], take: Any) -> None:
    if left.get("tomo_rec_thickness"):
        take("tomo_rec_thickness", "thickness", int(left["tomo_rec_thickness"]))
    if left.get("tomo_rec_binning"):
        take("tomo_rec_binning", "bin", float(left["tomo_rec_binning"]))
    if left.get("tomo_rec_2d_filtering_method") == "doseweighting":
        take("tomo_rec_2d_filtering_method", "dose_weighting", True)
    if left.get("movie_depth"):
        take("movie_depth", "tilts_float16", True)


def _take_gain(left: dict[str, Any], take: Any) -> None:
    """Take the gain and how it lies. nextPYP flips, then turns by rot90; here it is turned, then flipped.

    A turn after one flip is the opposite turn before it; two flips are half a turn.
    """
    if not left.get("gain_reference"):
        return
    take("gain_reference", "gain", str(left["gain_reference"]))
    across, down = bool(left.get("gain_fliph")), bool(left.get("gain_flipv"))
    turns = int(left.get("gain_rotation", 0) or 0)
    turns = turns if across != down else -(turns + 2 * (across and down))
    if turns % 4:
        take("gain_rotation", "gain_rotate", 90 * (turns % 4))
    if across != down:
        take("gain_fliph" if across else "gain_flipv", "gain_flip", "lr" if across else "ud")
    for key in ("gain_rotation", "gain_fliph", "gain_flipv"):
        left.pop(key, None)


def _inputs(left: dict[str, Any], tomo: bool, take: Any, draft: _Draft) -> str:
    """Return what the job's input is: movies, or of tilt series the mdocs, whose movies lie in ``frames``."""
    data, mdocs = left.pop("data_path", None), left.pop("data_path_mdoc", None)
    if not tomo:
        return f"'{data}'" if data else "INPUT"
    if mdocs:
        if data:
            take("data_path", "frames", str(Path(str(data)).parent))
        return f"'{mdocs}'"
    if data and not left.get("movie_no_frames"):
        draft.comments.append(
            f"data_path is {data}, and tilts are told by the names of files (movie_pattern): an mdoc a series is needed"
        )
    return f"'{data}'" if data else "INPUT"


def _text(path: Path, result: Exchanged, draft: _Draft) -> str:
    import tomlkit  # late: only who writes one pays for it

    document = tomlkit.document()
    document.add(tomlkit.comment(f"Made by pypcore import from {path}"))
    document.add(tomlkit.comment(result.command))
    for note in draft.comments:
        document.add(tomlkit.comment(note))
    parameters = tomlkit.table()
    theirs = {value.partition(" = ")[0]: key for key, value in result.mapped.items() if not key.startswith("slurm_")}
    for key, value in draft.parameters.items():
        entry = tomlkit.item(value)
        entry.comment(theirs.get(key, ""))
        parameters.add(key, entry)
    document.add("parameters", parameters)
    resources = tomlkit.table(is_super_table=True)
    for phase, table in draft.resources.items():
        if table:
            resources.add(phase, table)
    document.add("resources", resources)
    text = tomlkit.dumps(document)
    if result.not_mapped:
        lines = [f"#   {key} = {why}" for key, why in result.not_mapped.items()]
        text += "\n# Not mapped:\n" + "\n".join(line.replace("\n", " ") for line in lines) + "\n"
    return text
