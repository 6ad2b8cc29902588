"""From what a user asks to the settings of one tomogram: its size, weights, doses and CTF."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.tilt_series import TiltSeries
from pypcore.items import Item
from pypcore.operation import Context
from pypcore.operations.align_tilts_parameters import thickness_of
from pypcore.operations.tilt_images import TiltImages, normalisation
from pypcore.operations.tilt_items import image_shape, open_series
from pypcore.operations.tomogram_parameters import TomogramParameters
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram.settings import TomogramSettings

if TYPE_CHECKING:  # Launch asks for sizes only: reconstruction, and the transforms it stands on, are imported late
    from pypcore.tomogram.ctf import TiltCtf
    from pypcore.tomogram.reconstruct import Reconstruction

_LONGEST = 1100  # voxels: what "about 1000" means where the binning is chosen
_BYTES = {"float32": 4, "float16": 2, "int8": 1}


def binning_of(params: TomogramParameters, image_shape: tuple[int, int]) -> float:
    """Return the raw pixels in a voxel: as asked, or the least power of 2 that makes the longer side about 1000."""
    if params.bin is not None:
        return params.bin
    binning = 1
    while max(image_shape) / binning > _LONGEST:
        binning *= 2
    return float(binning)


def shape_of(params: TomogramParameters, aligned_shape: tuple[int, int], pixel_size: float) -> tuple[int, int, int]:
    """Return (z, y, x) of the tomogram in voxels."""
    binning = binning_of(params, aligned_shape)
    thickness = thickness_of(params, pixel_size)
    y, x = (max(1, round(side / binning)) for side in aligned_shape)
    return max(1, round(thickness / binning)), y, x


def plan_reconstruction(
    series: TiltSeries, alignment: TiltAlignment, images: TiltImages, params: TomogramParameters, context: Context
) -> "Reconstruction":
    """Return the work on one tomogram; ``series``, ``alignment`` and ``images`` are of the views used.

    Says what was chosen, and warns where it needs more memory than the task has. Raises InputError where dose weighting
    or CTF correction lacks what it needs.
    """
    if params.tilt_offset or params.x_tilt:
        alignment = replace(
            alignment,
            angle_offset=alignment.angle_offset + params.tilt_offset,
            x_tilt=alignment.x_tilt + params.x_tilt,
        )
    binning = binning_of(params, alignment.aligned_shape)
    settings = TomogramSettings(
        shape_of(params, alignment.aligned_shape, alignment.pixel_size),
        binning=binning,
        offset=(params.offset_z / binning, 0.0, params.offset_x / binning),
        method=params.method,
        weighting=params.filter,
        cutoff=params.cutoff,
        falloff=params.falloff,
        like_iterations=params.iterations,
        iterations=params.iterations,
        nonnegative=params.nonnegative,
        halves=params.halves,
        normalise=normalisation(images) if params.normalise == "auto" else params.normalise,
        ctf=params.ctf,
        ctf_hand=-1 if series.hand == 1 else 1,  # RELION's hand is the other way round
    )
    z, y, x = settings.shape
    context.log.info(
        "%s: a tomogram of %d x %d x %d voxels of %.4g Å, from %d views, each divided by its %s", series.path.name,
        x, y, z, alignment.pixel_size * binning, len(alignment), settings.normalise,
    )  # fmt: skip
    voltage = series.voltage
    if (params.dose_weighting or params.ctf != "none") and voltage is None:
        raise InputError(f"{series.path}: nothing there says the voltage; give it (--voltage, in kV)")
    if params.ctf != "none" and series.hand is None:
        raise InputError(
            f"{series.path}: nothing there says the handedness, which hangs on microscope and camera and which "
            "CTF correction needs; give --handedness -1 or 1 (rlnTomoHand in RELION)"
        )
    exposures = None
    if params.dose_weighting:
        doses = series.prior_doses()
        if doses is None:
            raise InputError(
                f"{series.path}: the dose before each view isn't known, which dose weighting needs; "
                "give --dose (and an mdoc that says in which order they were taken), or --no-dose-weighting"
            )
        exposures = doses + np.array([(view.dose or 0.0) / 2 for view in series.views])
    from pypcore.tomogram.reconstruct import Reconstruction

    work = Reconstruction(
        alignment,
        settings,
        exposures=exposures,
        voltage=voltage or 300.0,
        ctf=_ctf(series, params, voltage) if params.ctf != "none" else None,
        threads=context.threads,
        memory=context.memory,
        compute=context.compute,
    )
    if work.plan.needed > context.memory:
        context.log.warning(
            "%s: needs about %.1f GB of memory, %.1f are allowed",
            series.path, work.plan.gigabytes, context.memory / 1e9,
        )  # fmt: skip
    return work


def _ctf(series: TiltSeries, params: TomogramParameters, voltage: float | None) -> "TiltCtf":
    known = [view.defocus for view in series.views]
    if None in known:
        missing = series.views[known.index(None)]
        raise InputError(
            f"{series.path}: no defocus of {missing.label}, which CTF correction needs; give the folder of the fits "
            "(--defocus), or a STAR file that has them"
        )
    defocus = [one for one in known if one is not None]
    from pypcore.tomogram.ctf import TiltCtf

    return TiltCtf(
        np.array([one.u for one in defocus]),
        np.array([one.v for one in defocus]),
        np.array([one.angle for one in defocus]),
        np.array([one.phase for one in defocus]),
        voltage or 300.0,
        series.cs or 0.0,
        series.amplitude_contrast or 0.0,
    )


def disk_of(item: Item, params: TomogramParameters) -> int:
    """Estimate the bytes of an item's tomograms."""
    series, _ = open_series(item, params, Path.cwd())
    z, y, x = shape_of(params, image_shape(series, params), series.pixel_size or 1.0)
    return z * y * x * _BYTES[params.type] * (3 if params.halves != "none" else 1)
