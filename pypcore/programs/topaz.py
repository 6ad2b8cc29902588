"""Topaz: networks by name or by file, picks in pixels of the shrunk image back to those of the micrograph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.coordinates import Picks, read_all_picks, write_picks
from pypcore.formats.star import write_star
from pypcore.items import Item, natural_key
from pypcore.operation import Context, Done
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.halves import other_half
from pypcore.programs.process import Ended, ProgramError
from pypcore.programs.tables import as_given


class _Network(Adapter):
    """An operation whose network is a name, or a file that ``model`` names."""

    def lay_in(self, task: Task) -> None:
        """Give the file the place of the name."""
        super().lay_in(task)
        as_float32(task)
        task.words["network"] = task.words.get("model") or task.params.network


class Denoise3D(_Network):
    """Tomograms."""


class Denoise(Adapter):
    """Micrographs."""

    def lay_in(self, task: Task) -> None:
        """Show the micrograph as numbers that the network takes."""
        super().lay_in(task)
        as_float32(task)


def as_float32(task: Task) -> None:
    """Give the program a float32 copy of an image of another type: Topaz makes doubles of it, and its network none."""
    from pypcore.formats.mrc import HEADER_BYTES, parse_header, read_mrc, write_mrc

    with task.item.path.open("rb") as file:
        header = parse_header(file.read(HEADER_BYTES), task.item.path)
    if header.mode == 2 and header.dtype.isnative:
        return
    image, pixel_size = read_mrc(task.item.path)
    shown = task.folder / task.inputs[0]
    shown.unlink()
    write_mrc(shown, image.astype(np.float32), pixel_size or 1.0, volume=image.ndim == 3)


class _KeepsLast(Adapter):
    """Training leaves a model at every interval: the last is kept."""

    models = "model*.sav"

    def call(self, task: Task, words: Sequence[str], *, executable: str = "") -> Ended:
        """Give the newest model a name of its own."""
        ended = super().call(task, words, executable=executable)
        if "preprocess" not in words:
            models = sorted(task.folder.glob(self.models), key=lambda path: natural_key(path.name))
            if not models:
                raise ProgramError("topaz exited with 0, but left no model")
            models[-1].rename(task.folder / "final.sav")
        return ended


class TrainDenoise3D(_KeepsLast):
    """Even and odd tomograms to a network."""

    def check_item(self, item: Item, params: Any) -> None:
        """The other half must be there."""
        other_half(item.path, params.halves)

    def lay_in(self, task: Task) -> None:
        """Two folders, in which halves have one name."""
        for item in task.items:
            task.linked(item.path, f"even/{item.name}{item.path.suffix}")
            task.linked(other_half(item.path, task.params.halves), f"odd/{item.name}{item.path.suffix}")
        task.inputs = ["even"]


def _shrunk(radius: float, by: int) -> int:
    return max(1, round(radius / by))


class Pick(_Network):
    """Micrographs to coordinates."""

    def lay_in(self, task: Task) -> None:
        """Radius in pixels of the shrunk image, made by cropping the transform: its pixel i lies at i * s."""
        super().lay_in(task)
        (task.folder / "proc").mkdir()
        task.words["small_radius"] = _shrunk(task.params.radius, task.params.downsample)

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Write coordinates in pixels of the micrograph, the best first."""
        picks = read_table(found["picks"])
        points = picks.points * task.params.downsample
        with task.context.write(relative := f"coordinates/{task.item.name}.star") as temporary:
            write_picks(temporary, Picks(points, picks.scores))
        task.figures |= {"picks": len(points), "best_score": float(picks.scores.max()) if len(points) else None}
        return {"coordinates": task.context.job / relative} | picture(
            task, Picks(points, picks.scores), task.params.radius
        )

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write the list of coordinate files that RELION and extract read."""
        return write_coordinate_files(done, context)


def picture(task: Task, picks: Picks, radius: float) -> dict[str, Path]:
    """Draw the picks on their micrograph."""
    from pypcore.formats.mrc import read_mrc
    from pypcore.programs.picture import draw_picks

    image, _ = read_mrc(task.item.path)
    with task.context.write(relative := f"coordinates/{task.item.name}_picks.png") as temporary:
        draw_picks(temporary, task.item.name, image, picks, radius)
    return {"picture": task.context.job / relative}


def write_coordinate_files(done: Sequence[Done], context: Context) -> dict[str, Path]:
    """Write ``coordinates.star``: RELION's table coordinate_files, a row a micrograph."""
    columns = {
        "rlnMicrographName": [one.item.given for one in done],
        "rlnMicrographCoordinates": [as_given(one, "coordinates", context) for one in done],
    }
    with context.write("coordinates.star") as temporary:
        write_star(temporary, {"coordinate_files": columns})
    return {"coordinate_files": context.job / "coordinates.star"}


def read_table(path: Path) -> Picks:
    """Read Topaz's table (image_name, x_coord, y_coord, score; by tabs), the best first; ProgramError else."""
    lines = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    if not lines or lines[0][:4] != ["image_name", "x_coord", "y_coord", "score"]:
        raise ProgramError(
            f"topaz exited with 0, but its {path.name} does not begin with image_name x_coord y_coord score"
        )
    try:
        table = np.array([[float(value) for value in line[1:4]] for line in lines[1:]], float).reshape(-1, 3)
    except (ValueError, IndexError) as error:
        raise ProgramError(f"topaz exited with 0, but its {path.name} can't be read: {error}") from error
    if not np.isfinite(table).all():
        raise ProgramError(f"topaz exited with 0, but its {path.name} has numbers that are not finite")
    table = table[np.argsort(-table[:, 2], kind="stable")]
    return Picks(table[:, :2], table[:, 2])


class Train(_KeepsLast):
    """Micrographs and their picks to a network."""

    models = "model_epoch*.sav"

    def rules(self, params: Any) -> None:
        """Pretrained networks are of one kind."""
        if params.pretrained and params.network not in ("resnet8", "resnet16"):
            raise ValueError(f"there is no pretrained {params.network}; give --no-pretrained, or --network resnet8")

    def lay_in(self, task: Task) -> None:
        """Write the picks in pixels of the shrunk micrographs."""
        super().lay_in(task)
        (task.folder / "proc").mkdir()
        params = task.params
        images = [item.given for item in task.items]
        picks = read_all_picks(params.coordinates, images, task.context.root)
        rows = ["image_name\tx_coord\ty_coord"]
        for item, shown in zip(task.items, task.inputs, strict=True):
            if item.given in picks:
                points = np.round(picks[item.given].points[:, :2] / params.downsample).astype(int)
                rows += [f"{Path(shown).stem}\t{x}\t{y}" for x, y in points]
        if len(rows) == 1:
            raise InputError(f"{params.coordinates}: no coordinates for any of the {len(images)} micrographs")
        (task.folder / "targets.txt").write_text("\n".join(rows) + "\n")
        task.figures |= {"micrographs": len(picks), "picks": len(rows) - 1}
        task.words["small_radius"] = _shrunk(params.radius, params.downsample)
