"""An aligned tilt series in, a tomogram out, whole or slab by slab."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.compute import CPU, Compute
from pypcore.errors import InputError, UsageError
from pypcore.motion.parallel import Threads
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tomogram import weighting
from pypcore.tomogram.ctf import Corrector, TiltCtf, slab_planes
from pypcore.tomogram.hand import HandCheck, check_hand
from pypcore.tomogram.memory import MemoryPlan, plan_memory, volumes_of
from pypcore.tomogram.resample import Aligner
from pypcore.tomogram.settings import TomogramSettings
from pypcore.tomogram.sirt import Operators, Sirt, on_cpu, tile_bytes
from pypcore.tomogram.stack import ROW, empty_stack, put
from pypcore.tomogram.views import Views, shift_planes
from pypcore.tomogram.wbp import backproject

Array = NDArray[np.float64]
Volume = NDArray[np.float32]
Job = tuple[int, int]  # which volume, and its first slice
Solution = Callable[[list[Job], Callable[[Job], Volume], Callable[[Job], Volume]], None]
Backprojection = Callable[[range, list[Volume]], None]  # planes, into one array [z, y, x] for each volume
Tilts = Sequence[NDArray[np.generic]] | NDArray[np.generic]  # [T, y, x]; anything that gives image [y, x] for an index


@dataclass(frozen=True)
class Slab:
    """A part of a tomogram: all of x, ``z`` and ``y`` of its planes and rows.

    ``volume``, ``half1`` and ``half2`` are [z, y, x]; the next slab overwrites them.
    """

    z: slice
    y: slice
    volume: Volume
    half1: Volume | None
    half2: Volume | None


@dataclass(frozen=True)
class Tomogram:
    """Densities [z, y, x] in the tilts' units per voxel of path; halves where asked for."""

    volume: Volume
    half1: Volume | None
    half2: Volume | None
    voxel_size: float  # Å


class Reconstruction:
    """One series' tomogram: planned when it is made, so that what it takes is known before a pixel is read."""

    def __init__(
        self,
        alignment: TiltAlignment,
        settings: TomogramSettings,
        *,
        exposures: Array | None = None,
        voltage: float = 300.0,
        ctf: TiltCtf | None = None,
        threads: int = 1,
        memory: int = 4 * 2**30,
        whole: bool = False,
        compute: Compute = CPU,
    ) -> None:
        """Plan for ``threads`` threads and ``memory`` bytes (``plan``); neither changes the result.

        ``exposures`` [T]: e-/Å² that the specimen had had by the middle of each tilt, where they are to be weighted for
        it; ``voltage`` kV. ``ctf`` where ``settings.ctf`` asks for correction. Both are for all tilts of the stack.
        ``whole``: the caller keeps all slabs. ``compute``: what weights, projects and solves; tilts are aligned, and
        their CTF is corrected, on the CPU.
        """
        if not alignment.used.any():
            raise InputError("tomogram: all tilts are left out; two or more are needed")
        self.settings = settings
        # In the order of angles; for halves of tilts, every other one of them first.
        order = np.flatnonzero(alignment.used)[np.argsort(alignment.angles[alignment.used], kind="stable")]
        self.angles = alignment.select(order).specimen_angles
        self.steps_of = np.arange(len(order))
        if settings.halves == "tilts":
            if len(order) < 2:
                raise InputError("tomogram: halves of one tilt; two or more are needed")
            self.steps_of = np.concatenate([self.steps_of[::2], self.steps_of[1::2]])
        self.chosen = order[self.steps_of]
        self.views = Views.of(alignment.select(self.chosen), settings)
        for name, given in (("exposures", exposures), ("CTFs", None if ctf is None else ctf.defocus_u)):
            if given is not None and len(given) != len(alignment):
                raise InputError(f"tomogram: {len(given)} {name} for {len(alignment)} tilts; one belongs to each")
        own = None if exposures is None else np.asarray(exposures, float)[self.chosen]
        self.aligner = Aligner(self.views, own, voltage)
        self.corrector = None
        depth = 0
        if settings.ctf != "none":
            if ctf is None:
                raise UsageError(f"tomogram: CTF correction ({settings.ctf}) without defocus; give it, or 'none'")
            own_ctf = ctf.select(self.chosen)
            self.corrector = Corrector(self.views, own_ctf)
            if settings.method == "wbp":
                depth = slab_planes(self.views.alignment, own_ctf, settings)
        self.depth = depth
        self.threads, self.compute = threads, compute
        self.stacks = 2 if settings.halves == "frames" else 1
        self.plan: MemoryPlan = plan_memory(self.aligner, self.stacks, depth, threads, memory, whole=whole)
        self.voxel_size = alignment.pixel_size * settings.binning

    def slabs(
        self, tilts: Tilts, second: Tilts | None = None, progress: Callable[[float], None] | None = None
    ) -> Iterator[Slab]:
        """Yield the tomogram in slabs. ``second``: with halves of frames, the other half of each tilt's frames.

        ``tilts`` are raw, read one at a time a thread, by index.
        """
        if (second is not None) != (self.settings.halves == "frames"):
            raise UsageError("tomogram: halves of frames are made of two stacks, all else of one")
        tell = progress or (lambda share: None)
        sources = [tilts] if second is None else [tilts, second]
        with Threads(self.threads) as threads:
            if self.settings.method == "sirt":
                yield from self._by_rows(sources, threads, tell)
            elif self.depth:
                yield from self._by_depth(sources, threads, tell)
            else:
                yield from self._by_planes(sources, threads, tell)
        tell(1.0)

    def check_hand(self, tilts: Tilts) -> HandCheck:
        """Say how well the CTF's hand agrees with raw ``tilts``; only where CTF correction is asked for."""
        if self.corrector is None:
            raise UsageError("tomogram: the hand is checked where the CTF is corrected; ask for that")
        images = ((t, self.aligner(t, np.asarray(tilts[int(i)]))) for t, i in enumerate(self.chosen))
        return check_hand(images, self.views, self.corrector.ctf)

    @property
    def parts(self) -> list[slice]:
        """Return which images of the stack belong to each volume that is reconstructed."""
        count = len(self.chosen)
        if self.settings.halves == "tilts":
            return [slice(0, -(-count // 2)), slice(-(-count // 2), count)]
        return [slice(n * count, (n + 1) * count) for n in range(self.stacks)]

    def _lines(self) -> Array:
        return np.tile(self.views.lines(), (self.stacks, 1))

    def _weights(self) -> Volume:
        """Return the weights along u of each tilt: those of the whole series, so that halves add up to the whole."""
        return weighting.weights(self.angles, self.views.width, self.settings)[self.steps_of]

    def _images(self, sources: list[Tilts], threads: Threads, work: Callable[[int, int, Volume], None]) -> None:
        """Align every image and give it to ``work(number in the stack, tilt, image)``."""
        count = len(self.chosen)

        def one(job: tuple[int, int]) -> None:
            source, tilt = job
            image = self.aligner(tilt, np.asarray(sources[source][int(self.chosen[tilt])]))
            work(source * count + tilt, tilt, image)

        threads.run(one, ((s, t) for s in range(len(sources)) for t in range(count)))

    def _stack(self) -> Volume:
        return empty_stack(self.views.height, self.stacks * len(self.chosen), self.views.width)

    def _by_planes(self, sources: list[Tilts], threads: Threads, tell: Callable[[float], None]) -> Iterator[Slab]:
        stack, weights = self._stack(), self._weights()
        on_gpu = self.compute.on_gpu  # where the weights are applied too
        self._images(sources, threads, lambda n, t, image: put(stack, n, image, None if on_gpu else weights[t]))
        tell(0.4)
        depth = self.settings.shape[0]
        add = self._backprojection(stack, threads, np.tile(weights, (self.stacks, 1)) if on_gpu else None)
        yield from self._planes(add, range(depth), tell, 0.4)

    def _by_depth(self, sources: list[Tilts], threads: Threads, tell: Callable[[float], None]) -> Iterator[Slab]:
        """CTF-corrected stacks for some depth slabs at a time."""
        assert self.corrector is not None
        corrector, weights = self.corrector, self._weights()
        aligned = np.empty((self.stacks * len(self.chosen), self.views.height, self.views.width), np.float32)
        self._images(sources, threads, lambda n, t, image: aligned.__setitem__(n, image))
        tell(0.2)
        z, heights = self.settings.shape[0], self.views.heights()
        slabs = [range(low, min(low + self.depth, z)) for low in range(0, z, self.depth)]
        for first in range(0, len(slabs), self.plan.depths):
            group = slabs[first : first + self.plan.depths]
            middles = [float(heights[slab.start : slab.stop].mean()) for slab in group]
            stacks = [self._stack() for _ in group]

            def correct(n: int, middles: list[float] = middles, stacks: list[Volume] = stacks) -> None:
                tilt = n % len(self.chosen)
                for stack, image in zip(stacks, corrector(tilt, aligned[n], weights[tilt], middles), strict=True):
                    put(stack, n, image)

            threads.run(correct, range(len(aligned)))
            for slab, stack in zip(group, stacks, strict=True):
                begin = 0.2 + 0.8 * slab.start / z
                yield from self._planes(self._backprojection(stack, threads), slab, lambda share: None, begin)
            tell(0.2 + 0.8 * group[-1].stop / z)

    def _backprojection(self, stack: Volume, threads: Threads, weights: Volume | None = None) -> Backprojection:
        """Return what writes planes of the volumes; ``weights`` [image, k] are still to be applied, on GPUs."""
        lines, parts = self._lines(), self.parts
        if not self.compute.on_gpu:
            return lambda planes, out: backproject(stack, lines, parts, planes, out, threads)
        from pypcore.tomogram.device_stack import DeviceStack

        there = DeviceStack(stack, weights, self.compute.ordinals)
        return lambda planes, out: there.backproject(lines, parts, planes, out)

    def _planes(
        self, add: Backprojection, planes: range, tell: Callable[[float], None], begun: float
    ) -> Iterator[Slab]:
        _, y, x = self.settings.shape
        views, count = self.views, volumes_of(self.settings)
        most = min(self.plan.planes, len(planes))
        volumes = [np.empty((most, views.height, x), np.float32) for _ in range(count)]
        for low in range(planes.start, planes.stop, most):
            own = range(low, min(low + most, planes.stop))
            done = [volume[: len(own)] for volume in volumes]
            add(own, done)
            where, rows = slice(own.start, own.stop), slice(0, y)
            yield _slab(where, rows, [shift_planes(volume, views, where, rows) for volume in done])
            tell(begun + (1 - begun) * (own.stop - planes.start) / len(planes))

    def _by_rows(self, sources: list[Tilts], threads: Threads, tell: Callable[[float], None]) -> Iterator[Slab]:
        """SIRT: all planes of some slices at a time; the whole and the halves each from their own images."""
        stack = self._stack()

        def keep(n: int, tilt: int, image: Volume) -> None:
            if self.corrector is not None:  # for the middle of the volume: SIRT sees all depths at once
                image = self.corrector(tilt, image, None, [self.settings.offset[0]])[0]
            put(stack, n, image)

        self._images(sources, threads, keep)
        tell(0.2)
        z, y, x = self.settings.shape
        views, extent = self.views, range(0, y, self.plan.rows)
        images = self._images_of_volumes()
        solve = self._solution(threads)
        for low in extent:
            rows = slice(low, min(low + self.plan.rows, y))
            height = rows.stop - rows.start + 2 * views.margin
            volumes = [np.empty((z, height, x), np.float32) for _ in images]
            solve(
                [(which, first) for first in range(0, height, ROW) for which in range(len(images))],
                lambda job, low=low: _rows_of(stack, low + job[1], images[job[0]]),  # type: ignore[misc]
                lambda job, volumes=volumes: volumes[job[0]][:, job[1] : job[1] + ROW],  # type: ignore[misc]
            )
            moved = [shift_planes(volume, views, slice(0, z), rows) for volume in volumes]
            yield _slab(slice(0, z), rows, moved)
            tell(0.2 + 0.8 * rows.stop / y)

    def _solution(self, threads: Threads) -> Solution:
        """Return what solves tiles: by threads, or by GPUs."""
        if self.compute.on_gpu:
            from pypcore.tomogram.device_stack import DeviceSirt

            size = (
                4
                * tile_bytes(self.settings, len(self.chosen), self.views.width, 1, whole=True)
                * volumes_of(self.settings)
            )
            return DeviceSirt(self._solvers, size, self.compute.ordinals).run
        solvers, turn = self._solvers(on_cpu()), kernels.get("tile_to_planes", "cython")

        def solve(jobs: list[Job], images: Callable[[Job], Volume], out: Callable[[Job], Volume]) -> None:
            threads.run(lambda job: turn(solvers[job[0]](images(job)), out(job)), jobs)

        return solve

    def _solvers(self, by: Operators) -> list[Sirt]:
        """Return the solver of each volume, halves first."""
        lines, width, order = self.views.lines(), self.views.width, np.argsort(self.steps_of)  # by angle
        all_tilts = Sirt(lines[order], width, self.settings, by)
        if self.settings.halves == "tilts":
            return [*(Sirt(lines[part], width, self.settings, by) for part in self.parts), all_tilts]
        return [all_tilts] * volumes_of(self.settings)

    def _images_of_volumes(self) -> list[Callable[[Volume], Volume]]:
        """Return, for each volume, what takes its images out of those of a tile of the stack."""
        count, order = len(self.chosen), np.argsort(self.steps_of)
        if self.settings.halves == "none":
            return [lambda tile: tile[order]]
        if self.settings.halves == "tilts":
            first, last = self.parts
            return [lambda tile: tile[first], lambda tile: tile[last], lambda tile: tile[order]]
        return [
            lambda tile: tile[:count][order],
            lambda tile: tile[count:][order],
            lambda tile: tile[:count][order] + tile[count:][order],
        ]


def reconstruct(
    tilts: Tilts,
    alignment: TiltAlignment,
    settings: TomogramSettings,
    *,
    second: Tilts | None = None,
    exposures: Array | None = None,
    voltage: float = 300.0,
    ctf: TiltCtf | None = None,
    threads: int = 1,
    memory: int = 4 * 2**30,
    progress: Callable[[float], None] | None = None,
    compute: Compute = CPU,
) -> Tomogram:
    """Return the whole tomogram of raw ``tilts`` [T, y, x]; ``Reconstruction`` says what the rest means."""
    work = Reconstruction(
        alignment,
        settings,
        exposures=exposures,
        voltage=voltage,
        ctf=ctf,
        threads=threads,
        memory=memory,
        whole=True,
        compute=compute,
    )
    volumes: list[Volume] | None = None
    for slab in work.slabs(tilts, second, progress):
        parts = [part for part in (slab.volume, slab.half1, slab.half2) if part is not None]
        if parts[0].shape == settings.shape:
            volumes = parts
            break
        if volumes is None:
            volumes = [np.empty(settings.shape, np.float32) for _ in parts]
        for volume, part in zip(volumes, parts, strict=True):
            volume[slab.z, slab.y] = part
    assert volumes is not None
    half1, half2 = volumes[1:] or (None, None)
    return Tomogram(volumes[0], half1, half2, work.voxel_size)


def _slab(z: slice, y: slice, volumes: list[Volume]) -> Slab:
    """Return a slab of ``volumes``: the one there is, or both halves and the whole."""
    if len(volumes) == 1:
        return Slab(z, y, volumes[0], None, None)
    half1, half2, volume = volumes
    return Slab(z, y, volume, half1, half2)


def _rows_of(stack: Volume, first: int, choose: Callable[[Volume], Volume]) -> Volume:
    """Return the images [T, u, ROW] of the slices ``first`` ..., which may begin within a tile of ``stack``."""
    tile, begin = divmod(first, ROW)
    images = np.zeros_like(choose(stack[tile]))
    images[:, :, : ROW - begin] = choose(stack[tile])[:, :, begin:]
    if begin and tile + 1 < len(stack):
        images[:, :, ROW - begin :] = choose(stack[tile + 1])[:, :, :begin]
    return images


def project(volume: Volume, alignment: TiltAlignment, settings: TomogramSettings, *, threads: int = 1) -> Volume:
    """Project ``volume`` [z, y, x] into aligned images [T, y, u] of all tilts: the adjoint of back-projection.

    The X-axis tilt must be 0. Images are as wide as those that ``reconstruct`` works with (``Views``).
    """
    if alignment.x_tilt:
        raise UsageError("projection of a volume that is tilted about x is not offered; turn the volume first")
    views = Views.of(alignment, settings)
    lines = views.lines()
    z, y, x = volume.shape
    images = np.zeros((len(alignment), y, views.width), np.float32)
    kernel = kernels.get("project", "cython")
    to_tile, to_planes = kernels.get("planes_to_tile", "cython"), kernels.get("tile_to_planes", "cython")

    def tile(first: int) -> None:
        voxels = np.empty((z, x, ROW), np.float32)
        to_tile(volume[:, first : first + ROW], voxels)
        seen = np.zeros((len(alignment), views.width, ROW), np.float32)
        kernel(voxels, lines, seen)
        to_planes(seen, images[:, first : first + ROW])

    with Threads(threads) as workers:
        workers.run(tile, range(0, y, ROW))
    return images
