"""Every operation of a program with data that it takes, and a bench on which they are run in this process."""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pypcore.formats.coordinates import Picks, write_picks
from pypcore.formats.mrc import write_mrc
from pypcore.formats.star import write_star
from pypcore.items import Item
from pypcore.operation import Context, Done, Result, get_operation


@dataclass
class Bench:
    """A folder with fakes on PATH and data; runs operations here, one item after another, and then Merge."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Return every call of a fake so far."""
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def mode(self, mode: str) -> None:
        """Tell the fakes how to end."""
        self.monkeypatch.setenv("FAKE_MODE", mode)

    def gpus(self, visible: str) -> None:
        """Say which GPUs this process sees."""
        self.monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    def item(self, name: str, index: int = 0) -> Item:
        """Return an item of a file in the folder."""
        path = self.folder / name
        stat = path.stat()
        return Item(index, path.stem, str(path), name, stat.st_size, stat.st_mtime_ns)

    def context(self) -> Context:
        """Return a context in which a task runs: job folder ``job``, two threads, the GPUs that are visible."""
        visible = [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]
        job = self.folder / "job"
        job.mkdir(exist_ok=True)
        return Context(
            *(job, "job", 2, 2**30, list(range(len(visible))), job / "scratch", logging.getLogger("test")),
            root=self.folder,
        )

    def do(self, operation: str, files: list[str], **options: Any) -> tuple[list[Result], Result]:
        """Do every item, then Merge; return what each made."""
        described = get_operation(operation)
        params = described.Parameters(**options)
        items = [self.item(name, index) for index, name in enumerate(files)]
        described.check(params, items)
        results = [described.process(item, params, self.context()) for item in items]
        done = [Done(item, result.products, result.figures) for item, result in zip(items, results, strict=True)]
        return results, described.finish(done, params, self.context())


@dataclass
class Case:
    """An operation, what it is run on, and with what; ``steps`` programs are called for an item, or for the set."""

    operation: str
    make: Callable[[Path], list[str]]
    options: dict[str, Any] = field(default_factory=dict)
    gpus: int = 1  # that it can use, 0 for any number
    cpu: bool = False
    product: str = ""
    modes: tuple[str, ...] = ("silent", "half", "nan", "segv", "oom", "nomem", "fallback")


def volume(path: Path, shape: tuple[int, ...] = (16, 24, 20), pixel_size: float = 10.0, seed: int = 1) -> str:
    """Write a volume of noise; return its name."""
    write_mrc(
        path, np.random.default_rng(seed).normal(size=shape).astype(np.float32), pixel_size, volume=len(shape) == 3
    )
    return path.name


def movie(folder: Path) -> list[str]:
    """A movie of 6 frames and a gain."""
    write_mrc(folder / "gain.mrc", np.ones((48, 64), np.float32), 1.0)
    return [volume(folder / "m_001.mrc", (6, 48, 64), 1.0)]


def series(folder: Path) -> list[str]:
    """A tilt series of 5 sections, angles beside it."""
    (folder / "ts_01.rawtlt").write_text("".join(f"{angle}\n" for angle in (-60, -30, 0, 30, 60)))
    return [volume(folder / "ts_01.st", (5, 48, 64), 2.0)]


def mdoc(folder: Path) -> list[str]:
    """An mdoc written on Windows, and its three movies."""
    rows = "".join(f"[ZValue = {n}]\nSubFramePath = X:\\data\\grid.step2_{n}.mrc\n\n" for n in range(3))
    (folder / "ts_02.mdoc").write_text(rows)
    for number in range(3):
        volume(folder / f"grid.step2_{number}.mrc", (4, 48, 64), 2.0)
    return ["ts_02.mdoc"]


def tomograms(folder: Path) -> list[str]:
    """Two tomograms with angles, a template, a network, picks."""
    (folder / "template.mrc").exists() or volume(folder / "template.mrc", (8, 8, 8))
    (folder / "network").write_bytes(b"PK network")
    for name in ("t1", "t2"):
        (folder / f"{name}.tlt").write_text("-60\n0\n60\n")
    points = {"rlnTomoName": ["t1", "t2"], "rlnCoordinateX": [3.0, 4.0], "rlnCoordinateY": [5.0, 6.0]}
    write_star(folder / "picks.star", {"particles": points | {"rlnCoordinateZ": [7.0, 8.0]}})
    return [volume(folder / "t1.mrc"), volume(folder / "t2.mrc", seed=2)]


def halves(folder: Path) -> list[str]:
    """Two tomograms in halves, and a packed network."""
    import tarfile

    with tarfile.open(folder / "care.tar.gz", "w:gz") as archive:
        archive.add(__file__, "config.json")
    for name in ("t1", "t2"):
        volume(folder / f"{name}_half2.mrc", seed=5)
    return [volume(folder / "t1_half1.mrc"), volume(folder / "t2_half1.mrc", seed=2)]


def micrographs(folder: Path) -> list[str]:
    """Two micrographs, picks for each, a network."""
    (folder / "network").write_bytes(b"PK network")
    (folder / "picks").mkdir(exist_ok=True)
    for name in ("a", "b"):
        write_picks(folder / f"picks/{name}.star", Picks(np.array([[16.0, 24.0], [40.0, 8.0]]), np.zeros(0)))
    return [volume(folder / "a.mrc", (64, 96), 1.5), volume(folder / "b.mrc", (64, 96), 1.5, 2)]


def particles(folder: Path) -> list[str]:
    """A particles STAR."""
    write_star(folder / "p.star", {"particles": {"rlnImageName": ["1@a.mrcs", "2@a.mrcs"]}})
    return ["p.star"]


ALL = ("silent", "half", "nan", "segv", "oom", "nomem", "fallback")
NO_FALLBACK = ("silent", "half", "nan", "segv", "oom", "nomem")  # needs its GPU: it fails by itself
MODEL = ("silent", "segv", "oom", "nomem", "fallback")  # leaves a network of bytes that nobody else can read
CASES = [
    Case("motioncor3", movie, {"pixel_size": 1.0, "dose": 1.0, "voltage": 300, "patches": (3, 3)}, gpus=0,
         product="micrograph", modes=NO_FALLBACK),
    Case("aretomo2", series, {"pixel_size": 2.0, "tilt_axis": 85.3, "thickness": 32}, gpus=0, product="tomogram",
         modes=NO_FALLBACK),
    Case("aretomo3", series, {"pixel_size": 2.0, "tilt_axis": 85.3, "thickness": 32}, product="tomogram",
         modes=NO_FALLBACK),
    Case("topaz-denoise3d", tomograms, gpus=0, cpu=True, product="tomogram", modes=ALL),
    Case("topaz-denoise3d-train", halves, {"epochs": 2}, gpus=0, cpu=True, product="model", modes=MODEL),
    Case("topaz-denoise", micrographs, cpu=True, product="micrograph", modes=ALL),
    Case("topaz-pick", micrographs, {"radius": 16}, cpu=True, product="coordinates", modes=ALL),
    Case("topaz-train", micrographs, {"radius": 16, "expected": 5, "coordinates": "picks", "epochs": 2}, cpu=True,
         product="model", modes=MODEL),
    Case("membrain-seg", tomograms, {"weights": "network"}, cpu=True, product="segmentation", modes=ALL),
    Case("cryocare-train", halves, {"patch": 8}, gpus=0, cpu=True, product="model", modes=MODEL),
    Case("cryocare", halves, {"model": "care.tar.gz"}, cpu=True, product="tomogram", modes=ALL),
    Case("isonet-train", tomograms, {"pixel_size": 10, "defocus": 20000, "iterations": 2}, gpus=0, product="model",
         modes=MODEL),
    Case("isonet", tomograms, {"pixel_size": 10, "model": "network"}, gpus=0, product="tomogram", modes=ALL),
    Case("isonet2-deconvolve", tomograms, {"pixel_size": 10, "defocus": 20000}, gpus=-1, product="tomogram",
         modes=("silent", "half", "nan", "segv", "nomem")),
    Case("isonet2-train", tomograms, {"pixel_size": 10}, gpus=0, product="model", modes=MODEL),
    Case("isonet2", tomograms, {"pixel_size": 10, "model": "network", "defocus": 9000}, gpus=0, product="tomogram",
         modes=ALL),
    Case("pytom-match", tomograms, {"template": "template.mrc", "diameter": 60, "voxel_size": 10, "defocus": 30000},
         gpus=0, product="coordinates", modes=NO_FALLBACK),
    Case("milopyp-train", tomograms, {"backbone": "network", "epochs": 2}, cpu=True, product="model", modes=MODEL),
    Case("milopyp", tomograms, {"model": "network"}, cpu=True, product="features", modes=ALL),
    Case("nn-pick-train", tomograms, {"coordinates": "picks.star"}, gpus=0, cpu=True, product="model", modes=MODEL),
    Case("nn-pick", tomograms, {"model": "network"}, cpu=True, product="coordinates", modes=ALL),
    Case("nn-pick-2d-train", micrographs, {"coordinates": "picks"}, cpu=True, product="model", modes=MODEL),
    Case("nn-pick-2d", micrographs, {"model": "network"}, cpu=True, product="coordinates", modes=ALL),
    Case("tomodrgn", particles, {"source": "relion_3.1"}, gpus=0, cpu=True, product="model",
         modes=("silent", "half", "segv", "oom", "nomem", "fallback")),
    Case("ctffind", micrographs, {"voltage": 300}, gpus=-1, product="result",
         modes=("silent", "half", "nan", "segv", "nomem")),
]  # fmt: skip


def absolute(case: Case, folder: Path) -> dict[str, Any]:
    """Return a case's options with its files as the command line gives them: absolute."""
    from pypcore.programs.registry import shipped

    files = {option.name for option in shipped()[case.operation].options if option.type == "file"}
    return {name: folder / value if name in files else value for name, value in case.options.items()}
