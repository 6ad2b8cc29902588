"""Small movies with known motion, and contexts to correct them in."""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter, shift

from pypcore.items import Item
from pypcore.operation import Context

DISPLACEMENT = (6.0, -4.0)  # (y, x) px between the first and the last frame


def moving_counts(size: int, frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a movie of counts [t, y, x] and the displacement [t, (y, x)] in px of what is seen in it."""
    rng = np.random.default_rng(seed)
    texture = gaussian_filter(rng.normal(size=(size + 40, size + 40)), 2)
    texture /= texture.std()
    moved = np.linspace(0, 1, frames)[:, None] * DISPLACEMENT
    seen = [3 * (1 + 0.25 * shift(texture, one, order=3)[20:-20, 20:-20]) for one in moved]
    return rng.poisson(np.clip(seen, 0, None)).astype(np.uint8), moved


@pytest.fixture(scope="session")
def counts() -> tuple[np.ndarray, np.ndarray]:
    return moving_counts(256, 8)


@pytest.fixture(scope="session")
def large_counts() -> tuple[np.ndarray, np.ndarray]:
    return moving_counts(512, 10)


def item(path: Path, root: Path, index: int = 0) -> Item:
    stat = path.stat()
    return Item(index, path.stem, str(path), str(path.relative_to(root)), stat.st_size, stat.st_mtime_ns)


@pytest.fixture
def write_item(tmp_path: Path) -> Callable[..., Item]:
    """Write a movie in MRC row order as TIFF, and return it as an item with its path relative to ``tmp_path``."""

    def write(counts: np.ndarray, name: str = "m1", index: int = 0, **options) -> Item:
        path = tmp_path / "movies" / f"{name}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, counts[:, ::-1], photometric="minisblack", **{"compression": "lzw", **options})
        return item(path, tmp_path, index)

    return write


@pytest.fixture
def make_context(tmp_path: Path) -> Callable[..., Context]:
    def make(job: str = "MotionCorr/job002", threads: int = 2) -> Context:
        return Context(
            job=tmp_path / job,
            job_as_given=job,
            threads=threads,
            memory=2 << 30,
            devices=[],
            scratch=tmp_path / "scratch",
            log=logging.getLogger("test"),
        )

    return make
