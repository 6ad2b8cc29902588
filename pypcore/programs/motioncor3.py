"""MotionCor3: what it is called with, and its alignment as the motion that ``motioncorr`` writes.

Its shifts are what it applies to a frame (its source reads the shift with factor -1 into a phase of +2 pi k s / N,
which moves an image by -s), in unbinned pixels, (x, y): RELION's sign, and the opposite of our displacement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.movies import open_movie
from pypcore.formats.relion_motion import MotionStar, write_motion
from pypcore.items import Item
from pypcore.operation import Context, Done, Figure
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.process import ProgramError

EARLY = 4.0  # e-/Å²: RELION's border between early and late motion
_INPUTS = {".tif": "-InTiff", ".tiff": "-InTiff", ".eer": "-InEer", ".mrc": "-InMrc", ".mrcs": "-InMrc"}
_FLIPS = {"none": "0", "ud": "1", "lr": "2"}


@dataclass(frozen=True)
class Alignment:
    """An ``.aln`` of MotionCor3: ``size`` (width, height, frames) of the stack, ``throw`` frames left out before it,
    ``whole`` and ``local`` displacements in unbinned pixels: [frame, (y, x)] and rows of (frame, y, x, dy, dx)."""

    size: tuple[int, int, int]
    throw: int
    whole: npt.NDArray[np.float64]
    local: npt.NDArray[np.float64]


def read_alignment(path: Path) -> Alignment:
    """Read an ``.aln``; raise InputError where it is none."""
    size, throw, part = (0, 0, 0), 0, ""
    whole: list[list[float]] = []
    local: list[list[float]] = []
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.replace(":", " ").split()
            if not words or words[0].startswith("#"):
                continue
            if words[0] in ("setting", "globalShift", "localShift"):
                part = words[0]
            elif words[0] == "stackSize":
                size = (int(words[1]), int(words[2]), int(words[3]))
            elif words[0] == "throw":
                throw = int(words[1])
            elif part == "globalShift" and words[0] != "stackID":
                whole.append([-float(words[2]), -float(words[1])])
            elif part == "localShift" and words[0] not in ("patchID", "Converge"):
                frame, x, y, shift_x, shift_y = (float(word) for word in words)
                local.append([frame, y, x, -shift_y, -shift_x])
    except (OSError, ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not an alignment of MotionCor3 ({error})") from error
    if not whole or not size[2]:
        raise InputError(f"{path}: not an alignment of MotionCor3 (no stackSize, or no globalShift)")
    return Alignment(size, throw, np.array(whole) + 0.0, np.array(local).reshape(-1, 5) + 0.0)


class MotionCor3(Adapter):
    """Movies to micrographs; products and tables are those of ``motioncorr``."""

    def rules(self, params: Any) -> None:
        """Patches are two numbers from 2, or none; the last frame comes after the first."""
        x, y = params.patches
        if (x, y) != (0, 0) and min(x, y) < 2:
            raise ValueError(
                f"patches {x},{y}: MotionCor3 takes fewer than two along a side for none; give 0,0 for that"
            )
        if params.last is not None and params.last <= params.first:
            raise ValueError(f"last {params.last} is not after first {params.first}")
        if params.dose is not None and params.voltage is None:
            raise ValueError("dose weighting needs the voltage; give --voltage, or no --dose")

    def check_item(self, item: Item, params: Any) -> None:
        """Look whether the movie can be opened, and has the frames that are asked for."""
        if item.path.suffix.lower() not in _INPUTS:
            raise InputError(f"{item.given}: MotionCor3 reads {', '.join(_INPUTS)}")
        if item.path.suffix.lower() == ".eer" and params.eer_group is None:
            raise InputError(f"{item.given}: an EER movie needs --eer-group, the raw frames in a fraction")
        with open_movie(item.path, eer_group=params.eer_group) as movie:
            frames, height, width = movie.shape
        if params.last is not None and params.last > frames:
            raise InputError(f"{item.given}: has {frames} frames; there is no frame {params.last}")
        if params.gain is not None:
            _check_gain(item, params, (height, width))

    def steps(self, task: Task) -> Any:
        """Call it once, with short relative names."""
        params, suffix = task.params, task.item.path.suffix.lower()
        with open_movie(task.item.path, eer_group=params.eer_group) as movie:
            frames = movie.shape[0]
        (task.folder / "aln").mkdir()
        words = [
            "MotionCor3",
            _INPUTS[suffix],
            task.inputs[0],
            "-OutMrc",
            "out.mrc",
            "-OutAln",
            "aln",
            "-SumRange",
            "0",
            "0",
        ]
        if params.voltage is not None:
            words += ["-kV", f"{params.voltage:.0f}"]
        words += self.options(task)
        words += ["-RotGain", str(params.gain_rotate // 90), "-FlipGain", _FLIPS[params.gain_flip]]
        words += ["-Patch", *(str(value) for value in (*params.patches, params.overlap))]
        words += ["-Throw", str(params.first - 1), "-Trunc", str(frames - params.last if params.last else 0)]
        words += ["-Cs", f"{params.cs:g}", "-AmpCont", f"{params.amplitude_contrast:g}"] if params.ctf else ["-Cs", "0"]
        if suffix == ".eer":
            dose = (params.dose or 0) / params.eer_group
            (task.folder / "fractions.txt").write_text(f"{frames * params.eer_group} {params.eer_group} {dose:g}\n")
            words += ["-FmIntFile", "fractions.txt"]
        yield words + self.fill(["{devices}", "{extra}"], task)

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Keep the sums as ``motioncorr`` names them, and write the motion as RELION keeps it."""
        params, item, context = task.params, task.item, task.context
        alignment = read_alignment(found["alignment"])
        motion = self._motion(item, params, context, alignment)
        with context.write(f"micrographs/{item.name}.star") as temporary:
            write_motion(temporary, motion)
        products = {"motion": context.job / f"micrographs/{item.name}.star"}
        weighted = "weighted" in found
        best = found["weighted" if weighted else "sum"]
        task.figures |= self._figures(params, alignment, motion) | _sizes(best)
        products["micrograph"] = _move(best, f"micrographs/{item.name}.mrc", context)
        if weighted and params.save_unweighted:
            products["unweighted"] = self.keep(task, "sum", found["sum"])
        if "ctf" in found:
            task.figures |= read_ctf(found["ctf"])
        for kind in ("even", "odd", "alignment", "ctf"):
            if kind in found:
                products[kind] = self.keep(task, kind, found[kind])
        return products

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write ``micrographs.star`` and ``micrographs.csv`` as ``motioncorr`` does."""
        from pypcore.operations.motioncorr_merge import write_tables

        return write_tables(done, params, context).products

    def _motion(self, item: Item, params: Any, context: Context, found: Alignment) -> MotionStar:
        with open_movie(item.path, eer_group=params.eer_group) as movie:
            frames, height, width = movie.shape
        first = params.first
        used = (params.last or frames) - first + 1
        if len(found.whole) != used:
            raise ProgramError(f"MotionCor3 exited with 0, but aligned {len(found.whole)} frames and not {used}")
        shifts = np.full((frames, 2), np.nan)
        shifts[first - 1 : first - 1 + len(found.whole)] = found.whole
        local = found.local + np.array([first - 1.0, 0, 0, 0, 0]) if len(found.local) else None
        return MotionStar(
            width=width,
            height=height,
            frames=frames,
            movie=item.given,
            pixel_size=params.pixel_size,
            shifts=shifts,
            gain=context.as_given(params.gain)
            if params.gain and not params.gain_rotate and params.gain_flip == "none"
            else "",
            binning=params.bin,
            dose=params.dose,
            pre_dose=params.pre_dose,
            voltage=params.voltage,
            first=first,
            eer_group=params.eer_group if item.path.suffix.lower() == ".eer" else None,
            eer_sampling=params.eer_sampling if item.path.suffix.lower() == ".eer" else None,
            patches=local,
        )

    def _figures(self, params: Any, found: Alignment, motion: MotionStar) -> dict[str, Figure]:
        path = found.whole * params.pixel_size
        steps = np.hypot(*np.diff(path, axis=0).T)
        early = (
            params.pre_dose + np.arange(params.first + 1, params.first + 1 + len(steps)) * (params.dose or 1.0) < EARLY
        )
        return {
            "motion_total": float(steps.sum()),
            "motion_early": float(steps[early].sum()),
            "motion_late": float(steps[~early].sum()),
            "frames": motion.frames,
            "width": motion.width,
            "height": motion.height,
            "pixel_size": params.pixel_size,
            "micrograph_pixel_size": params.pixel_size * params.bin,
        }


def read_ctf(path: Path) -> dict[str, Figure]:
    """Read ``O_Ctf.txt``: the header names seven columns, six are written: no running number comes first."""
    rows = [line.split() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    if not rows or len(rows[0]) not in (6, 7):
        raise ProgramError(f"MotionCor3 exited with 0, but its {path.name} has no row of six numbers")
    u, v, azimuth, phase, score, resolution = (float(word) for word in rows[0][-6:])
    names = ("defocus_u", "defocus_v", "defocus_angle", "phase_shift", "ctf_score", "ctf_resolution")
    return dict(zip(names, (u, v, azimuth, phase, score, resolution), strict=True))


def _check_gain(item: Item, params: Any, shape: tuple[int, int]) -> None:
    """Refuse a gain of another size: MotionCor3 itself says so, writes nothing and exits with 0."""
    from pypcore.formats.mrc import HEADER_BYTES, parse_header

    if params.gain.suffix.lower() not in (".mrc", ".mrcs"):
        return
    with params.gain.open("rb") as file:
        _, rows, columns = parse_header(file.read(HEADER_BYTES), params.gain).shape
    turned = (columns, rows) if params.gain_rotate in (90, 270) else (rows, columns)
    if turned != shape:
        raise InputError(
            f"{item.given}: {shape[1]} x {shape[0]} pixels, and the gain {params.gain.name} has {turned[1]} x "
            f"{turned[0]} when turned by {params.gain_rotate}; give another --gain or --gain-rotate"
        )


def _sizes(path: Path) -> dict[str, Figure]:
    from pypcore.formats.mrc import HEADER_BYTES, parse_header

    with path.open("rb") as file:
        _, rows, columns = parse_header(file.read(HEADER_BYTES), path).shape
    return {"micrograph_width": columns, "micrograph_height": rows}


def _move(path: Path, relative: str, context: Context) -> Path:
    import shutil

    with context.write(relative) as temporary:
        shutil.move(path, temporary)
    return context.job / relative
