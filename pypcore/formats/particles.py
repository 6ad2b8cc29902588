"""Particles of RELION's STAR files: poses, CTF and where each image is; versions 3.0, and 3.1 to 5 with optics groups.

Columns, units and signs are RELION's: angles rot, tilt, psi in degrees; origins in Å (3.0: pixels, turned into Å here),
the shift that brings a particle to the centre of its image; defocus in Å, positive for underfocus. Image numbers count
from 1 in the file, from 0 here.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from gemmi import cif

from pypcore.errors import InputError
from pypcore.formats.particle_optics import image_sides, read_optics
from pypcore.formats.star_table import StarTable
from pypcore.reconstruct.particles import Ctf, Optics, Poses

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

TOMO = "rlnTomoVisibleFrames"
EXPOSURE = "rlnMicrographPreExposure"
_ANGLES = ("rlnAngleRot", "rlnAngleTilt", "rlnAnglePsi")
_PER_PARTICLE = {"rlnCtfBfactor": 0.0, "rlnCtfScalefactor": 1.0, "rlnPhaseShift": 0.0}


@dataclass(frozen=True)
class Particles:
    """A table of particles; every array has one element (or row) a particle.

    ``angles`` (n, 3) rot, tilt, psi, degrees; ``origins`` (n, 2) x, y, Å; ``defocus`` (n, 3) U, V in Å and the angle in
    degrees, None where the table has none; ``group`` indexes ``optics``; ``half`` 1 or 2; ``stack`` and ``micrograph``
    index the lists of names; ``image`` counts from 0.
    """

    path: Path
    optics: tuple[Optics, ...]
    group: Integers
    angles: Floats
    origins: Floats
    defocus: Floats | None
    bfactor: Floats
    scale: Floats
    phase_shift: Floats
    half: Integers
    stacks: tuple[str, ...]
    stack: Integers
    image: Integers
    micrographs: tuple[str, ...]
    micrograph: Integers
    weight: Floats
    exposure: Floats | None
    """e-/Å² before each image; None where the table does not say."""
    image_sides: tuple[int | None, ...]
    """Of each optics group, pixels; None where it is not said."""
    halves_from: str = "rlnRandomSubset"
    """What the halves were taken from."""

    def __len__(self) -> int:
        """Return the number of particles."""
        return len(self.half)

    def poses(self, rows: Integers) -> Poses:
        """Return the poses of some particles."""
        rot, tilt, psi = self.angles[rows].T
        return Poses(rot, tilt, psi, shift_y=self.origins[rows, 1], shift_x=self.origins[rows, 0])

    def ctf(self, rows: Integers) -> Ctf | None:
        """Return the CTF of some particles; None where the table has no defocus."""
        if self.defocus is None:
            return None
        u, v, angle = self.defocus[rows].T
        return Ctf(u, v, angle, self.phase_shift[rows], self.bfactor[rows], self.scale[rows])


def read_particles(path: Path, *, pixel_size: float | None = None, weight: str = "", images: bool = True) -> Particles:
    """Read the particles of a STAR file.

    ``pixel_size`` of the images, Å, overrides what the file says; ``weight`` names a column with a weight a particle.
    Without ``images`` the table need not name any: poses are enough, and all are of the first half.

    InputError names the file, the column and the row where something is missing or makes no sense.
    """
    try:
        document = cif.read_file(str(path))
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: not a STAR file ({reason})") from error
    table = StarTable(path, *_particle_loop(document, path, "rlnImageName" if images else "rlnAngleRot"))
    if table.has(TOMO):
        raise InputError(
            f"{path}: RELION 5's 2-D stacks of a tomogram ({TOMO}) have many images a particle; that is not read yet: "
            "give a table with one row an image"
        )
    if table.has("rlnHelicalTubeID"):
        raise InputError(
            f"{path}: helical segments (rlnHelicalTubeID); helical symmetry is not implemented: reconstruct these with "
            "RELION"
        )
    for name in _ANGLES:
        table.need(name, "poses are needed: give the STAR file of a refinement, such as run_data.star")
    optics, group = read_optics(document, table, pixel_size)
    if images:
        stacks, stack, image = _images(table)
        half, halves_from = _halves(table)
    else:
        stacks, stack, image = ("",), np.zeros(table.rows, np.int64), np.arange(table.rows)
        half, halves_from = np.ones(table.rows, np.int64), "nothing"
    micrographs, micrograph = _micrographs(table, stacks, stack)
    if weight:
        table.need(weight, "it was asked for as the particles' weight")
    ones = {name: table.numbers(name, default) for name, default in _PER_PARTICLE.items()}
    return Particles(
        path=path,
        optics=optics,
        group=group,
        angles=np.stack([table.numbers(name) for name in _ANGLES], axis=1),
        origins=_origins(table, optics, group),
        defocus=_defocus(table),
        bfactor=ones["rlnCtfBfactor"],
        scale=ones["rlnCtfScalefactor"],
        phase_shift=ones["rlnPhaseShift"],
        half=half,
        stacks=stacks,
        stack=stack,
        image=image,
        micrographs=micrographs,
        micrograph=micrograph,
        weight=_weights(table, weight),
        exposure=table.numbers(EXPOSURE) if table.has(EXPOSURE) else None,
        image_sides=image_sides(document, table.path, len(optics)),
        halves_from=halves_from,
    )


def _particle_loop(document: Any, path: Path, needed: str) -> tuple[cif.Block, Any]:
    """Return the block with the particles: ``data_particles``, or in 3.0 the one with the column ``needed``."""
    found = []
    for block in document:
        for item in block:
            if item.loop is not None and f"_{needed}" in item.loop.tags:
                found.append((block, item.loop))
    if not found:
        raise InputError(f"{path}: no table has a column {needed}; give a STAR file of particles")
    named = [one for one in found if one[0].name == "particles"] or found
    block, loop = named[0]
    if loop.length() == 0:
        raise InputError(f"{path}: data_{block.name} has no particles")
    return cast(tuple[cif.Block, Any], (block, loop))


# -- the particles' own


def _origins(table: StarTable, optics: Sequence[Optics], group: Integers) -> Floats:
    """Return origins x, y in Å; those of 3.0 are in pixels."""
    if table.has("rlnOriginXAngst") or table.has("rlnOriginYAngst"):
        return np.stack([table.numbers("rlnOriginXAngst"), table.numbers("rlnOriginYAngst")], axis=1)
    pixels = np.stack([table.numbers("rlnOriginX", 0.0), table.numbers("rlnOriginY", 0.0)], axis=1)
    sizes = np.array([one.pixel_size for one in optics])
    return cast(Floats, pixels * sizes[group][:, None])


def _defocus(table: StarTable) -> Floats | None:
    if not table.has("rlnDefocusU"):
        return None
    u = table.numbers("rlnDefocusU")
    v = table.numbers("rlnDefocusV") if table.has("rlnDefocusV") else u
    return np.stack([u, v, table.numbers("rlnDefocusAngle", 0.0)], axis=1)


def _weights(table: StarTable, name: str) -> Floats:
    weights = table.numbers(name, 1.0) if name else np.ones(table.rows)
    low = int(np.argmin(weights))
    if weights[low] < 0:
        raise InputError(f"{table.path}: {name} is {weights[low]:g} in row {low + 1}; a weight is not below 0")
    return weights


def _images(table: StarTable) -> tuple[tuple[str, ...], Integers, Integers]:
    """Split ``000012@stack.mrcs`` into the stacks' names, each particle's stack, and its image from 0."""
    stacks: dict[str, int] = {}
    stack, image = np.empty(table.rows, np.int64), np.empty(table.rows, np.int64)
    for row, name in enumerate(table.text("rlnImageName")):
        number, at, file = name.partition("@")
        if not at or not number.isdigit() or int(number) < 1 or not file:
            raise InputError(
                f"{table.path}: rlnImageName is '{name}' in row {row + 1}; it must be like 000001@stack.mrcs, counted "
                "from 1"
            )
        stack[row] = stacks.setdefault(file, len(stacks))
        image[row] = int(number) - 1
    return tuple(stacks), stack, image


def _micrographs(table: StarTable, stacks: tuple[str, ...], stack: Integers) -> tuple[tuple[str, ...], Integers]:
    """Return the micrographs as they come, and each particle's; stacks stand for them where they are not named."""
    if not table.has("rlnMicrographName"):
        return tuple(name or table.path.stem for name in stacks), stack
    known: dict[str, int] = {}
    numbers = [known.setdefault(name, len(known)) for name in table.text("rlnMicrographName")]
    return tuple(known), np.array(numbers, np.int64)


def _halves(table: StarTable) -> tuple[Integers, str]:
    """Return the half of each particle, 1 or 2, and what it was taken from.

    Without rlnRandomSubset: the lowest bit of the BLAKE2 hash of what names the particle (rlnTomoParticleName, else
    rlnImageName), so that it hangs on neither order nor neighbours, and all images of a particle are of one half.
    """
    if table.has("rlnRandomSubset"):
        values = table.numbers("rlnRandomSubset")
        bad = np.flatnonzero((values != 1) & (values != 2))
        if len(bad):
            raise InputError(
                f"{table.path}: rlnRandomSubset is {values[bad[0]]:g} in row {bad[0] + 1}; it must be 1 or 2"
            )
        half, source = values.astype(np.int64), "rlnRandomSubset"
    else:
        source = "rlnTomoParticleName" if table.has("rlnTomoParticleName") else "rlnImageName"
        half = np.array([1 + half_bit(name) for name in table.text(source)], np.int64)
        source = f"a hash of {source}"
    for number in (1, 2):
        if not np.any(half == number):
            raise InputError(
                f"{table.path}: half set {number} is empty (by {source}); two halves are needed for an FSC: remove the "
                "column rlnRandomSubset to have particles split here"
                if source == "rlnRandomSubset"
                else f"{table.path}: half set {number} is empty (by {source}); more particles are needed"
            )
    return half, source


def half_bit(name: str) -> int:
    """Return 0 or 1 for a particle's name, the same for ever."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()[0] & 1


def row_checksums(particles: Particles, rows_of: Sequence[Integers], extra: Callable[[int], bytes]) -> list[int]:
    """Return a checksum, 63 bits, of everything that the table says of the rows of each part; ``extra`` is mixed in."""
    columns = [
        np.ascontiguousarray(column)
        for column in (
            particles.angles,
            particles.origins,
            particles.bfactor,
            particles.scale,
            particles.phase_shift,
            particles.half,
            particles.weight,
            particles.image,
            *(column for column in (particles.defocus, particles.exposure) if column is not None),
        )
    ]
    groups = [repr(one).encode() for one in particles.optics]
    sums = []
    for part, rows in enumerate(rows_of):
        digest = hashlib.blake2b(extra(part), digest_size=8)
        for column in columns:
            digest.update(column[rows].tobytes())
        for group in particles.group[rows]:
            digest.update(groups[group])
        sums.append(int.from_bytes(digest.digest(), "little") >> 1)
    return sums
