"""cet_pick: MiLoPYP's exploration, and the three-dimensional picker that is trained on a few coordinates.

Its scripts are run by the python of its environment; where they lie stands in CET_PICK. Lists are tab-separated, with
absolute paths (relative ones are looked for in ./data). Coordinates are voxels from 0, in the order x, y, z.
"""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pypcore.errors import InputError, SetupError
from pypcore.formats.coordinates import Picks, read_all_picks, write_picks
from pypcore.formats.star import write_star
from pypcore.items import natural_key
from pypcore.operation import Context, Done
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.process import ProgramError
from pypcore.programs.tables import as_given


class _CetPick(Adapter):
    """Scripts in one folder, lists of tomograms."""

    def lay_in(self, task: Task) -> None:
        """List the tomograms by absolute paths, and the network beside."""
        for item in task.items:
            task.inputs.append(task.linked(item.path, f"in/{item.name}{item.path.suffix}"))
        rows = ["image_name\trec_path"]
        rows += [f"{item.name}\t{task.folder / shown}" for item, shown in zip(task.items, task.inputs, strict=True)]
        (task.folder / "images.txt").write_text("\n".join(rows) + "\n")
        for name in ("model", "backbone"):
            if getattr(task.params, name, None) is not None:
                task.words[name] = str(task.folder / str(task.shown(getattr(task.params, name), name)))

    def script(self, task: Task, name: str, *words: str) -> list[str]:
        """Return the words that run a script."""
        folder = task.start.environment.get("CET_PICK")
        if not folder:
            raise SetupError(
                "milopyp: where its scripts are is not known; in pypcore-programs.toml: "
                '[milopyp] path = "…/bin/python", environment = { CET_PICK = "…/cet_pick" }'
            )
        return [
            self.card.program.executable,
            f"{folder}/{name}",
            *words,
            "--num_workers",
            str(max(0, task.context.threads - 1)),
            "--debug",
            "0",
        ]

    def end(self, task: Task) -> list[str]:
        """Return options, devices and what is passed through."""
        return self.options(task) + self.fill(["{devices}", "{extra}"], task)

    def _found(self, task: Task, began: int) -> dict[str, Path]:
        """Of the networks of all epochs only the last counts."""
        for model in sorted(task.folder.glob("exp/*/run/model_[0-9]*.pth"), key=lambda path: natural_key(path.name))[
            :-1
        ]:
            model.unlink()
        return super()._found(task, began)


class Explore(_CetPick):
    """Tomograms to a network that tells their pieces apart."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Train once on all."""
        words = [
            "simsiam3d",
            "--exp_id",
            "run",
            "--dataset",
            "simsiam3d",
            "--arch",
            "simsiam2d_18",
            "--val_intervals",
            "1",
        ]
        words += [
            "--save_all",
            "--train_img_txt",
            str(task.folder / "images.txt"),
            "--pretrained_model",
            str(task.words["backbone"]),
        ]
        yield self.script(task, "simsiam_main.py", *words) + self.end(task)


class Describe(_CetPick):
    """Tomograms to a table of their pieces: place and feature vector."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Apply the network."""
        words = ["simsiam3d", "--exp_id", "run", "--dataset", "simsiam3d", "--arch", "simsiam2d_18"]
        words += ["--test_img_txt", str(task.folder / "images.txt"), "--load_model", str(task.words["model"])]
        yield self.script(task, "simsiam_test_hm_3d.py", *words) + self.end(task)

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """See that the table can be read and is finite."""
        try:
            with found["features"].open("rb") as file, np.load(file, allow_pickle=False) as table:
                arrays = {name: table[name] for name in table.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ProgramError(
                f"milopyp exited with 0, but its {found['features'].name} can't be read: {error}"
            ) from error
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ProgramError(f"milopyp exited with 0, but '{name}' in its {found['features'].name} is not finite")
        task.figures |= {"pieces": max((len(array) for array in arrays.values() if array.ndim), default=0)}
        return super().take(task, found)


class TrainPicker(_CetPick):
    """Tomograms and a few picks to a network."""

    def lay_in(self, task: Task) -> None:
        """Write the picks beside the list."""
        super().lay_in(task)
        picks = read_all_picks(task.params.coordinates, [item.name for item in task.items], task.context.root)
        rows = ["image_name\tx_coord\ty_coord\tz_coord"]
        for item in task.items:
            if item.name in picks:
                points = picks[item.name].points
                if points.shape[1] != 3:
                    raise InputError(f"{task.params.coordinates}: {item.name} has no rlnCoordinateZ")
                rows += [f"{item.name}\t{x:.0f}\t{y:.0f}\t{z:.0f}" for x, y, z in points]
        if len(rows) == 1:
            raise InputError(f"{task.params.coordinates}: no coordinates for any of the {len(task.items)} tomograms")
        (task.folder / "coordinates.txt").write_text("\n".join(rows) + "\n")
        task.figures |= {"tomograms": len(picks), "picks": len(rows) - 1}

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Train once on all; they validate too."""
        images, coordinates = str(task.folder / "images.txt"), str(task.folder / "coordinates.txt")
        words = [
            "semi",
            "--exp_id",
            "run",
            "--dataset",
            "semi",
            "--down_ratio",
            "2",
            "--contrastive",
            "--val_intervals",
            "1",
        ]
        words += ["--train_img_txt", images, "--train_coord_txt", coordinates, "--val_img_txt", images]
        yield self.script(task, "main.py", *words, "--val_coord_txt", coordinates) + self.end(task)


class Picker(_CetPick):
    """Tomograms to coordinates."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Apply the network."""
        words = [
            "semi",
            "--exp_id",
            "run",
            "--dataset",
            "semi_test",
            "--down_ratio",
            "2",
            "--with_score",
            "--out_id",
            "picks",
        ]
        words += ["--test_img_txt", str(task.folder / "images.txt"), "--load_model", str(task.words["model"])]
        yield self.script(task, "test.py", *words) + self.end(task)

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Write coordinates, the best first."""
        picks = read_rows(found["picks"], 3)
        with task.context.write(relative := f"coordinates/{task.item.name}.star") as temporary:
            write_picks(temporary, picks)
        task.figures |= {"picks": len(picks.points)}
        return {"coordinates": task.context.job / relative}

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write the list of coordinate files."""
        columns = {
            "rlnTomoName": [one.item.name for one in done],
            "rlnMicrographCoordinates": [as_given(one, "coordinates", context) for one in done],
        }
        with context.write("coordinates.star") as temporary:
            write_star(temporary, {"coordinate_files": columns})
        return {"coordinate_files": context.job / "coordinates.star"}


def read_rows(path: Path, axes: int) -> Picks:
    """Read rows of ``axes`` coordinates and, after them, a score where there is one; the best first. A heading, and
    a name before the numbers, are passed over."""
    rows = []
    for line in path.read_text().splitlines():
        words = line.replace(",", " ").split()
        if words and not _is_number(words[0]):
            words = words[1:]
        if len(words) >= axes and all(map(_is_number, words)):
            rows.append([float(word) for word in words[: axes + 1]])
        elif words and rows:
            raise ProgramError(f"it exited with 0, but its {path.name} has the line '{line[:80]}'")
    if len({len(row) for row in rows}) > 1:
        raise ProgramError(f"it exited with 0, but rows of its {path.name} are not equally long")
    table = np.array(rows, float).reshape(len(rows), -1 if rows else axes)
    if not np.isfinite(table).all():
        raise ProgramError(f"it exited with 0, but its {path.name} has numbers that are not finite")
    if table.shape[1] > axes:
        table = table[np.argsort(-table[:, axes], kind="stable")]
    return Picks(table[:, :axes], table[:, axes] if table.shape[1] > axes else np.zeros(0))


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
