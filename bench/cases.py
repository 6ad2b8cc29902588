"""Sizes and seeded movies, shared by the benches (and by tests that want the same)."""

import hashlib
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import mrcfile
import numpy as np
from numpy.typing import NDArray

import pypcore.kernels.cpu.simulate
import pypcore.simulate
from pypcore import demo
from pypcore.formats.movies import open_movie
from pypcore.formats.mrc import write_mrc
from pypcore.simulate.detector import typical_detector
from pypcore.simulate.laws import lawful_motion
from pypcore.simulate.movie import Exposure, SimulatedMovie, Truth, simulate_movie, typical_movie
from pypcore.simulate.oracle import sum_frames
from pypcore.simulate.specimen import Optics, particle_contrast
from pypcore.simulate.write import write_tiff_movie


@dataclass(frozen=True)
class MovieCase:
    """Simulated movies of one size: particles in ice, typical motion, gain, bad pixels."""

    name: str
    shape: tuple[int, int]  # height, width
    n_frames: int
    pixel_size: float  # Å
    dose: float  # e-/Å² per frame
    local: float  # Å peak to peak of the local motion
    seeds: tuple[int, ...]

    @property
    def size(self) -> str:
        """Width x height x frames, as people say it."""
        return f"{self.shape[1]}x{self.shape[0]}x{self.n_frames}"


SMALL = MovieCase("small", (1024, 1024), 16, pixel_size=1.02, dose=2.5, local=4.0, seeds=(11, 12, 13))
K2 = MovieCase("k2", (3710, 3838), 40, pixel_size=1.06, dose=1.25, local=6.0, seeds=(12,))
K3 = MovieCase("k3", (4092, 5760), 40, pixel_size=0.83, dose=1.2, local=6.0, seeds=(13,))
MOVIES = {case.name: case for case in (SMALL, K2, K3)}
REAL_SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class MadeMovie:
    """A movie on disk with its truth."""

    movie: Path
    gain: Path
    truth: Truth
    oracle: NDArray[np.float32] | None  # the best picture it allows


def default_folder() -> Path:
    """Where movies are kept between runs: ``$XDG_CACHE_HOME/pypcore-bench``, else ``~/.cache/pypcore-bench``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pypcore-bench"


def make(case: MovieCase, seed: int, data: Path, threads: int) -> MadeMovie:
    """Make one movie of ``case``, or take the one made before with the same simulator."""

    def movie() -> SimulatedMovie:
        return typical_movie(
            case.shape, case.n_frames, seed=seed, pixel_size=case.pixel_size, dose=case.dose, local=case.local
        )

    return _keep(movie, data / f"{case.name}-{seed}-{_fingerprint(repr(case))}", case.pixel_size, threads)


def _keep(simulate: Callable[[], SimulatedMovie], folder: Path, pixel_size: float, threads: int) -> MadeMovie:
    """Write a movie and its truth to ``folder``, unless they are there."""
    movie, gain, truth, oracle = (folder / name for name in ("movie.tif", "gain.mrc", "truth.npz", "oracle.npy"))
    if not oracle.exists():  # written last
        folder.mkdir(parents=True, exist_ok=True)
        made = simulate()
        write_tiff_movie(movie, made.stream(threads))
        write_mrc(gain, made.gain, pixel_size)
        made.truth.save(truth)
        with open_movie(movie) as frames:
            best = sum_frames(frames, made.gain, made.truth, made.truth.motion.at, threads=threads)
        temporary = folder / "part.npy"
        np.save(temporary, best)
        temporary.replace(oracle)
    return MadeMovie(movie, gain, Truth.load(truth), np.load(oracle))


LAW = MovieCase("law", (1856, 1920), 40, pixel_size=1.06, dose=1.25, local=0.0, seeds=(7,))


def make_law(law: str, seed: int, data: Path, threads: int) -> MadeMovie:
    """Make a movie of a quarter of a K2's area whose motion obeys one of the laws of ``pypcore.simulate.laws``."""

    def movie() -> SimulatedMovie:
        contrast = particle_contrast(LAW.shape, Optics(LAW.pixel_size), seed=seed)
        motion = lawful_motion(law, LAW.shape, LAW.n_frames, pixel_size=LAW.pixel_size, seed=seed)
        detector = typical_detector(LAW.shape, seed=seed)
        return simulate_movie(contrast, motion, Exposure(LAW.pixel_size, LAW.dose), seed=seed, detector=detector)

    return _keep(movie, data / f"law-{law}-{seed}-{_fingerprint(repr(LAW))}", LAW.pixel_size, threads)


def make_real(seed: int, data: Path, threads: int, micrograph: Path | None) -> MadeMovie:
    """Make a movie of a real micrograph under known motion: of the crop that is shipped, or of a file."""
    image = None if micrograph is None else mrcfile.read(micrograph).squeeze()
    folder = data / f"real-{_fingerprint(str(micrograph))}"
    made = demo.make_demo_movie(folder, seed=seed, threads=threads, micrograph=image)
    return MadeMovie(made.movie, made.gain, made.truth, None)


def _fingerprint(case: str) -> str:
    """Change with the case and with any line of the simulator."""
    digest = hashlib.sha256(case.encode())
    for path in sorted(_sources()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:10]


def _sources() -> Iterable[Path]:
    folder = Path(str(pypcore.simulate.__file__)).parent
    yield from (path for path in folder.glob("*.py") if path.stem not in ("found", "score"))
    yield Path(str(pypcore.kernels.cpu.simulate.__file__))
    yield Path(str(demo.__file__))
