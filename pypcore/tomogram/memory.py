"""How much of a tomogram is made at a time, within the memory allowed; known before anything is read."""

from dataclasses import dataclass

from pypcore.tomogram import sirt, wbp
from pypcore.tomogram.resample import Aligner
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.stack import ROW, tiles_of

_PROCESS = 300 * 2**20  # Python, NumPy, SciPy and the compiled kernels
_SLAB = 128 * 2**20  # bytes of planes at a time are enough: fresh memory costs more than going round once more


@dataclass(frozen=True)
class MemoryPlan:
    """What is done at a time: the result does not depend on it."""

    planes: int  # z planes of the volume at a time (weighted back-projection)
    rows: int  # slices along y at a time (SIRT)
    depths: int  # depth slabs whose CTF-corrected stacks are kept at a time
    needed: int  # bytes in all

    @property
    def gigabytes(self) -> float:
        """Return what it needs in GB."""
        return self.needed / 1e9


def plan_memory(
    aligner: Aligner, stacks: int, depth: int, threads: int, memory: int, *, whole: bool = False
) -> MemoryPlan:
    """Fit a tomogram into ``memory`` bytes; where not even the least fits, that least is planned.

    ``stacks``: how many images each tilt has (2 with halves of frames). ``depth``: planes of a depth slab of CTF
    correction, 0 for none. ``whole``: the caller keeps the whole volume and its halves in memory.
    """
    views = aligner.views
    settings = views.settings
    z, y, x = settings.shape
    tilts = len(views.alignment)
    volumes = volumes_of(settings)
    stack = 4 * stacks * tilts * views.width * tiles_of(views.height) * ROW
    aligning = threads * aligning_bytes(aligner)
    kept = 4 * z * y * x * volumes if whole else 0
    moved = 2 if views.margin else 1  # planes are moved into others

    if settings.method == "sirt":
        tile = threads * volumes * sirt.tile_bytes(settings, tilts, views.width, ROW)
        slice_ = 4 * z * x * volumes * moved
        fixed = _PROCESS + kept + stack + max(aligning, tile)
        rows = min(-(-y // ROW) * ROW, max(ROW, (memory - fixed) // slice_ // ROW * ROW))
        least = min(rows, y)
        extra = 0 if whole and moved == 1 else least * slice_
        return MemoryPlan(z, least, 1, fixed + extra)

    working = threads * wbp.scratch_bytes(volumes)
    plane = 4 * volumes * x * (y if moved == 1 else y + views.height)
    fixed = _PROCESS + kept + max(aligning, working)
    slab, stacks_kept = depth or z, 1
    if depth:  # the images that are corrected stay, and one corrected stack for each slab that is worked on
        fixed += 4 * stacks * tilts * views.height * views.width
        room = memory - fixed - min(slab, wbp.DEPTH) * plane
        stacks_kept = max(1, min(-(-z // depth), room // stack))
    fixed += stacks_kept * stack
    if whole and moved == 1 and not depth:
        return MemoryPlan(z, y, 1, fixed)
    planes = max(1, min(slab, (memory - fixed) // plane, max(wbp.DEPTH, _SLAB // plane)))
    if planes < slab:  # whole blocks of the kernel, where there is room for one
        planes = max(planes // wbp.DEPTH * wbp.DEPTH, min(planes, wbp.DEPTH))
    return MemoryPlan(planes, y, stacks_kept, fixed + planes * plane)


def volumes_of(settings: TomogramSettings) -> int:
    """Return how many volumes are made: with halves, three."""
    return 1 if settings.halves == "none" else 3


def aligning_bytes(aligner: Aligner) -> int:
    """Return the memory in which one thread aligns an image."""
    raw = aligner.views.alignment.image_shape
    height, width = aligner.small
    columns = width // 2 + 1
    spectra = 8 * columns * (raw[0] + 2 * aligner.padded[0] + 2 * height)
    weights = 8 * 4 * height * columns
    return (
        8 * raw[0] * raw[1] + spectra + weights + 4 * height * width + 24 * aligner.views.height * aligner.views.width
    )
