"""The motion of one movie as RELION keeps it beside a micrograph.

Zivanov, Nakane and Scheres 2019, IUCrJ 6, 5. RELION stores a shift, what is to be applied to the frame; everywhere
else here motion is a displacement, where the specimen went: shift = -displacement. The sign turns in this file alone.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pypcore.errors import InputError
from pypcore.formats.star import Block, Value, read_star, write_star

COEFFICIENTS = 36
_UNOBSERVED = -9999.0  # RELION's shift of a frame that was not used
_NO_MODEL, _CUBIC = 0, 1

Floats = npt.NDArray[np.float64]


def _no_pixels() -> npt.NDArray[np.int64]:
    return np.zeros((0, 2), np.int64)


@dataclass
class MotionStar:
    """The motion of one movie, and what is needed to apply it again.

    ``width``, ``height``, ``frames`` of the movie; ``movie``, ``gain``, ``defects``: files as RELION will look for
    them ("" = none); ``binning`` of the micrograph; ``pixel_size`` of the movie (Å), ``dose`` (e-/Å² a frame) and
    ``pre_dose`` (e-/Å²), ``voltage`` (kV), None where unknown; ``first`` frame used, from 1.
    ``shifts`` is the displacement of the whole frame, [frame, (y, x)] in unbinned pixels, NaN for a frame not used.
    ``local`` is the polynomial of the local displacement, 18 coefficients for x, then 18 for y, in unbinned pixels:
    for each of 1, x, x², y, y², xy those of z, z², z³; z = frame - first, x = column / width - 1/2, y likewise.
    ``hot_pixels`` are [n, (y, x)], from 0. ``patches`` are observations: columns of data_local_shift as
    [n, (frame from 0, y, x, displacement y, displacement x)].
    """

    width: int
    height: int
    frames: int
    movie: str
    pixel_size: float
    shifts: Floats
    gain: str = ""
    defects: str = ""
    binning: float = 1.0
    dose: float | None = None
    pre_dose: float | None = None
    voltage: float | None = None
    first: int = 1
    eer_sampling: int | None = None
    eer_group: int | None = None
    local: Floats | None = None
    hot_pixels: npt.NDArray[np.int64] = field(default_factory=_no_pixels)
    patches: Floats | None = None


def write_motion(path: Path, motion: MotionStar) -> None:
    """Write a motion STAR that RELION 3.1 and newer read; raise ValueError where the arrays don't fit."""
    if motion.shifts.shape != (motion.frames, 2):
        raise ValueError(f"{motion.frames} frames, but shifts of shape {motion.shifts.shape}")
    blocks: dict[str, dict[str, Any]] = {"general": _general(motion)}
    shifts = np.where(np.isnan(motion.shifts), _UNOBSERVED, -motion.shifts) + 0.0  # + 0.0: no "-0"
    blocks["global_shift"] = {
        "rlnMicrographFrameNumber": list(range(1, motion.frames + 1)),
        "rlnMicrographShiftX": shifts[:, 1].tolist(),
        "rlnMicrographShiftY": shifts[:, 0].tolist(),
    }
    if motion.local is not None:
        if motion.local.shape != (COEFFICIENTS,):
            raise ValueError(f"the local model has {COEFFICIENTS} coefficients, not {motion.local.shape}")
        blocks["local_motion_model"] = {
            "rlnMotionModelCoeffsIdx": list(range(COEFFICIENTS)),
            "rlnMotionModelCoeff": (-motion.local + 0.0).tolist(),
        }
    if len(motion.hot_pixels):
        blocks["hot_pixels"] = {
            "rlnCoordinateX": motion.hot_pixels[:, 1].astype(float).tolist(),
            "rlnCoordinateY": motion.hot_pixels[:, 0].astype(float).tolist(),
        }
    if motion.patches is not None and len(motion.patches):
        frame, y, x, moved_y, moved_x = motion.patches.T
        blocks["local_shift"] = {
            "rlnMicrographFrameNumber": (frame.astype(int) + 1).tolist(),
            "rlnCoordinateX": x.tolist(),
            "rlnCoordinateY": y.tolist(),
            "rlnMicrographShiftX": (-moved_x + 0.0).tolist(),
            "rlnMicrographShiftY": (-moved_y + 0.0).tolist(),
        }
    write_star(path, blocks)


def _general(motion: MotionStar) -> dict[str, Value]:
    known: dict[str, Value | None] = {
        "rlnImageSizeX": motion.width,
        "rlnImageSizeY": motion.height,
        "rlnImageSizeZ": motion.frames,
        "rlnMicrographMovieName": motion.movie,
        "rlnMicrographGainName": motion.gain or None,
        "rlnMicrographDefectFile": motion.defects or None,
        "rlnMicrographBinning": motion.binning,
        "rlnMicrographOriginalPixelSize": motion.pixel_size,
        "rlnMicrographDoseRate": motion.dose,
        "rlnMicrographPreExposure": motion.pre_dose,
        "rlnVoltage": motion.voltage,
        "rlnMicrographStartFrame": motion.first,
        "rlnEERUpsampling": motion.eer_sampling,
        "rlnEERGrouping": motion.eer_group,
        "rlnMotionModelVersion": _NO_MODEL if motion.local is None else _CUBIC,
    }
    return {name: value for name, value in known.items() if value is not None}


def read_motion(path: Path) -> MotionStar:
    """Read a motion STAR of ours or RELION's; raise InputError where it is none."""
    blocks = read_star(path)
    try:
        return _parse(blocks)
    except (KeyError, ValueError, IndexError) as error:
        raise InputError(f"{path}: not a motion STAR of RELION (missing or wrong: {error})") from error


def _parse(blocks: dict[str, Block]) -> MotionStar:
    general = blocks["general"].pairs
    frames = int(general["rlnImageSizeZ"])

    def number(name: str) -> float | None:
        return float(general[name]) if name in general else None

    def whole(name: str) -> int | None:
        return int(general[name]) if name in general else None

    return MotionStar(
        width=int(general["rlnImageSizeX"]),
        height=int(general["rlnImageSizeY"]),
        frames=frames,
        movie=general["rlnMicrographMovieName"],
        gain=general.get("rlnMicrographGainName", ""),
        defects=general.get("rlnMicrographDefectFile", ""),
        binning=float(general.get("rlnMicrographBinning", 1)),
        pixel_size=float(general["rlnMicrographOriginalPixelSize"]),
        dose=number("rlnMicrographDoseRate"),
        pre_dose=number("rlnMicrographPreExposure"),
        voltage=number("rlnVoltage"),
        first=int(general.get("rlnMicrographStartFrame", 1)),
        eer_sampling=whole("rlnEERUpsampling"),
        eer_group=whole("rlnEERGrouping"),
        shifts=_parse_shifts(blocks["global_shift"], frames),
        local=_parse_local(blocks) if int(general.get("rlnMotionModelVersion", _NO_MODEL)) == _CUBIC else None,
        hot_pixels=_parse_hot_pixels(blocks),
        patches=_parse_patches(blocks),
    )


def _column(block: Block, name: str) -> Floats:
    return np.array(block.columns[name], dtype=np.float64)


def _parse_shifts(block: Block, frames: int) -> Floats:
    shifts = np.full((frames, 2), np.nan)
    numbers = _column(block, "rlnMicrographFrameNumber").astype(int)
    if numbers.min() < 1:
        raise ValueError(f"frame {numbers.min()}")
    found = np.stack([_column(block, "rlnMicrographShiftY"), _column(block, "rlnMicrographShiftX")], axis=1)
    shifts[numbers - 1] = np.where(found == _UNOBSERVED, np.nan, -found)
    return shifts + 0.0


def _parse_local(blocks: dict[str, Block]) -> Floats:
    block = blocks["local_motion_model"]
    local = np.full(COEFFICIENTS, np.nan)
    local[_column(block, "rlnMotionModelCoeffsIdx").astype(int)] = -_column(block, "rlnMotionModelCoeff")
    if np.isnan(local).any():
        raise ValueError(f"{np.isnan(local).sum()} coefficients of the local model")
    return local + 0.0


def _parse_hot_pixels(blocks: dict[str, Block]) -> npt.NDArray[np.int64]:
    if "hot_pixels" not in blocks:
        return _no_pixels()
    block = blocks["hot_pixels"]
    pixels = np.stack([_column(block, "rlnCoordinateY"), _column(block, "rlnCoordinateX")], axis=1)
    return pixels.astype(np.int64)


def _parse_patches(blocks: dict[str, Block]) -> Floats | None:
    if "local_shift" not in blocks:
        return None
    block = blocks["local_shift"]
    names = (
        "rlnMicrographFrameNumber",
        "rlnCoordinateY",
        "rlnCoordinateX",
        "rlnMicrographShiftY",
        "rlnMicrographShiftX",
    )
    return np.stack([_column(block, name) for name in names], axis=1) * (1, 1, 1, -1, -1) - (1, 0, 0, 0, 0)
