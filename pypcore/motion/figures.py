"""What the user is shown of one movie's correction."""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pypcore.motion.estimate import Estimate
from pypcore.motion.frames import Frames
from pypcore.motion.settings import MotionSettings
from pypcore.motion.weights import damage

Array = NDArray[np.float64]

EARLY = 4.0  # e-/Å²: motion up to here is "early", as in RELION
_AT = 4.0  # Å: where the signal that is kept is told
_POINTS, _DIRECTIONS = 5, 12
_TRACED = 6  # frames in which the place of each patch is told


def travel(found: Estimate, settings: MotionSettings) -> Array:
    """Return [T]: Å that the specimen goes during each frame's exposure, rms over the field.

    As fast as between frames; a jump that the fit has found lies between two exposures.
    """
    path = _paths(found, settings)
    if len(path) < 2:
        return np.zeros(len(path))
    if found.strengths is not None:
        for jump in found.strengths.steps:
            after = int(np.searchsorted(_exposures(found, settings), jump))
            path[after:] -= path[after] - path[after - 1]
    speed: Array = np.sqrt((np.gradient(path, axis=0) ** 2).sum(2).mean(1))
    return speed


def signal_kept(found: Estimate, settings: MotionSettings) -> tuple[float, float, float]:
    """Return the shares of the signal power kept with this correction and with none, and at how many Å.

    Of what would be kept if the motion were known exactly, as the fit expects it, frames weighted by damage; blur
    inside frames is lost to all alike.
    """
    at = max(_AT, 2.5 * settings.pixel_size)
    exposures = _exposures(found, settings) + settings.pre_dose
    carried = np.ones(len(exposures))
    if settings.dose:
        carried = damage(exposures, np.array([1 / at]), settings.voltage)[:, 0] ** 2
    carried = carried * found.amplitude**2 / (carried * found.amplitude**2).sum()
    with_it = float((carried * np.exp(-2 * (np.pi * found.spread / at) ** 2)).sum() ** 2)
    angles = np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS
    along = _paths(found, settings) @ np.stack([np.sin(angles), np.cos(angles)])  # [T, N, directions]
    without = np.abs(np.tensordot(carried, np.exp(2j * np.pi * along / at), 1)) ** 2
    return with_it, float(without.mean()), at


def figures(found: Estimate, frames: Frames, used: range, settings: MotionSettings) -> dict[str, Any]:
    """Return the figures of one movie; motion in Å, pairs as (y, x)."""
    path = found.field.whole * settings.pixel_size
    steps = np.hypot(*np.diff(path, axis=0).T)
    # RELION: the step into the frame number f (from 0) is early while f frames make up less than 4 e-/Å².
    early = settings.pre_dose + np.array(used)[1:] * settings.nominal_dose < EARLY
    local = found.field.local * settings.pixel_size
    shown: dict[str, Any] = {
        "motion_total": float(steps.sum()),
        "motion_early": float(steps[early].sum()),
        "motion_late": float(steps[~early].sum()),
        "motion_per_frame": path.tolist(),
        "motion_local": float(np.sqrt((local**2).sum(1).mean())),
        "mean_counts": frames.mean,
        "hot_pixels": len(frames.hot_pixels),
        "bad_pixels": frames.bad_pixels,
        "peak_height": found.start.height,
        "frames_grouped": found.start.group,
        "fixed_pattern": found.start.pattern,
        "poor_frames": [used.start + 1 + int(t) for t in np.flatnonzero(found.poor)],
        "patches": list(found.numbers),
        "rounds": found.rounds,
        "weights": settings.weights if settings.dose_weighting else "none",
    }
    if found.strengths is not None and found.patches is not None:
        kept, uncorrected, at = signal_kept(found, settings)
        patches = found.patches
        shown |= {
            "motion_error": float(np.sqrt((found.error**2).mean())),
            "motion_error_per_frame": found.error.tolist(),
            "motion_in_frame": travel(found, settings).tolist(),
            "signal_kept": kept,
            "signal_kept_uncorrected": uncorrected,
            "signal_kept_at": at,
            "expected_gain": kept / max(uncorrected, 1e-6),
            "evidence": found.evidence,
            "local_evidence": found.local_evidence,
            "residual": float(np.sqrt(patches.misfit.mean())),
            "unlike_patches": int(patches.unlike.sum()),
            "strengths": {**asdict(found.strengths), "steps": list(found.strengths.steps)},
            # A row a patch: x, y (px), signal power (1 on average), misfit (1 is usual), rms local motion (Å).
            "patch_table": _patch_table(found, settings),
            **_patch_traces(found, settings),
        }
    return shown


def _patch_table(found: Estimate, settings: MotionSettings) -> list[list[float]]:
    assert found.patches is not None
    y, x = found.patches.centres.T
    moved = found.field.scattered(y, x) - found.field.whole[:, :, None]
    rms = np.sqrt((moved**2).sum(1).mean(0)) * settings.pixel_size
    columns = (x.round(1), y.round(1), found.patches.level.round(3), found.patches.misfit.round(3), rms.round(3))
    rows: list[list[float]] = np.stack(columns, 1).tolist()
    return rows


def _patch_traces(found: Estimate, settings: MotionSettings) -> dict[str, Any]:
    """Return where the specimen at each patch was in some frames, x and y in Å from the first one, frame after frame.

    More of them early, when motion is fast; all frames of all places are in ``--write-model full``.
    """
    assert found.patches is not None
    count = found.field.count
    shown = np.unique(np.rint(np.geomspace(1, count, min(count, _TRACED + 1)))).astype(int)[1:] - 1
    y, x = found.patches.centres.T
    moved = found.field.scattered(y, x)[shown] * settings.pixel_size  # [shown, (y, x), P]
    traces: list[list[float]] = moved[:, ::-1].transpose(2, 0, 1).reshape(len(x), -1).round(2).tolist()
    return {"patch_trace_frames": (shown + settings.first).tolist(), "patch_traces": traces}


def _exposures(found: Estimate, settings: MotionSettings) -> Array:
    """Return [T] at mid-frame, since the beam came on, e-/Å²."""
    return np.asarray((np.arange(len(found.field.whole)) + settings.first - 0.5) * settings.nominal_dose, np.float64)


def _paths(found: Estimate, settings: MotionSettings) -> Array:
    """Return the motion [T, N, 2] in Å at places spread over the field."""
    ys, xs = ((np.arange(_POINTS) + 0.5) / _POINTS * n - 0.5 for n in found.field.shape)
    moved: Array = found.field.on_grid(ys, xs) * settings.pixel_size
    return np.ascontiguousarray(moved.reshape(len(moved), 2, -1).transpose(0, 2, 1))
