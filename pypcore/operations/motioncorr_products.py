"""What motion correction writes for one movie."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pypcore.formats.eer_movie import EerMovie
from pypcore.formats.gain import turned
from pypcore.formats.images import read_image
from pypcore.formats.movie_base import Movie
from pypcore.formats.mrc import write_mrc
from pypcore.formats.relion_motion import MotionStar, write_motion
from pypcore.items import Item
from pypcore.motion import Corrected, MotionSettings
from pypcore.operation import Context
from pypcore.operations.motioncorr_parameters import Parameters
from pypcore.operations.motioncorr_picture import draw_motion

FOLDER = "micrographs"
SUFFIXES = {  # kind of product: how its name ends, after the item's; RELION's endings where it has them
    "micrograph": ".mrc",
    "unweighted": "_noDW.mrc",
    "even": "_EVN.mrc",
    "odd": "_ODD.mrc",
    "power_spectrum": "_PS.mrc",
    "motion": ".star",
    "picture": "_motion.png",
}


def write_products(
    item: Item, movie: Movie, corrected: Corrected, params: Parameters, settings: MotionSettings, context: Context
) -> dict[str, Path]:
    """Write everything that was asked for; return what and where."""
    products = {}
    for kind in ("micrograph", "unweighted", "even", "odd"):
        image = getattr(corrected, kind)
        if image is not None:
            relative = f"{FOLDER}/{item.name}{SUFFIXES[kind]}"
            with context.write(relative) as temporary:
                write_mrc(temporary, image, settings.pixel_size * settings.binning, float16=params.float16)
            products[kind] = context.job / relative
    if corrected.power_spectrum is not None:
        relative = f"{FOLDER}/{item.name}{SUFFIXES['power_spectrum']}"
        with context.write(relative) as temporary:
            write_mrc(temporary, corrected.power_spectrum, spectrum_pixel_size(corrected, settings))
        products["power_spectrum"] = context.job / relative

    relative = f"{FOLDER}/{item.name}{SUFFIXES['motion']}"
    with context.write(relative) as temporary:
        write_motion(temporary, motion_star(item, movie, corrected, params, settings, context))
    products["motion"] = context.job / relative

    relative = f"{FOLDER}/{item.name}{SUFFIXES['picture']}"
    with context.write(relative) as temporary:
        draw_motion(temporary, item.name, corrected.field, settings)
    products["picture"] = context.job / relative
    return products
