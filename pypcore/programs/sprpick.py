"""spr_pick: a network that denoises micrographs and picks in them; its scripts lie where SPR_PICK says."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pypcore.errors import InputError, SetupError
from pypcore.formats.coordinates import Picks, read_all_picks, write_picks
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.operation import Context, Done
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.milopyp import read_rows
from pypcore.programs.shrink import shrink
from pypcore.programs.topaz import write_coordinate_files


class _SprPick(Adapter):
    """Shrunk micrographs in a list."""

    def lay_in(self, task: Task) -> None:
        """Write the shrunk micrographs and their list."""
        rows = ["image_name\tpath"]
        (task.folder / "in").mkdir()
        for item in task.items:
            image, pixel_size = read_mrc(item.path)
            path = task.folder / "in" / f"{item.name}.mrc"
            write_mrc(path, shrink(image.astype(np.float32), task.params.bin), (pixel_size or 1.0) * task.params.bin)
            rows.append(f"{item.name}\t{path}")
            task.inputs.append(f"in/{item.name}.mrc")
        (task.folder / "images.txt").write_text("\n".join(rows) + "\n")

    def script(self, task: Task, *words: str) -> list[str]:
        """Return the words that run it."""
        folder = task.start.environment.get("SPR_PICK")
        if not folder:
            raise SetupError(
                "spr-pick: where its scripts are is not known; in pypcore-programs.toml: "
                '[spr-pick] path = "…/bin/python", environment = { SPR_PICK = "…/spr_pick", PYTHONPATH = "…" }'
            )
        return [self.card.program.executable, f"{folder}/__main__.py", *words]


class Train(_SprPick):
    """Micrographs and picks to a network."""

    def lay_in(self, task: Task) -> None:
        """Write the picks in pixels of the shrunk micrographs."""
        super().lay_in(task)
        picks = read_all_picks(task.params.coordinates, [item.given for item in task.items], task.context.root)
        rows = ["image_name\tx_coord\ty_coord"]
        for item in task.items:
            if item.given in picks:
                rows += [f"{item.name}\t{x:.0f}\t{y:.0f}" for x, y in picks[item.given].points[:, :2] / task.params.bin]
        if len(rows) == 1:
            raise InputError(f"{task.params.coordinates}: no coordinates for any of the {len(task.items)} micrographs")
        (task.folder / "labels.txt").write_text("\n".join(rows) + "\n")

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Train once on all; they validate too."""
        words = [
            "train",
            "start",
            "--algorithm",
            "ssdn",
            "--noise_value",
            "var",
            "--noise_style",
            "gaussian",
            "--alpha",
            "0.9",
        ]
        for what in ("train", "validation"):
            words += [f"--{what}_dataset", "images.txt", f"--{what}_label", "labels.txt"]
        yield self.script(task, *words, "--runs_dir", "runs") + self.options(task) + self.fill(["{extra}"], task)


class Pick(_SprPick):
    """Micrographs to coordinates."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Apply the network."""
        model = str(task.shown(task.params.model, "model"))
        words = ["eval", "--model", model, "--dataset", "images.txt", "--runs_dir", "runs", "--num", "1"]
        yield self.script(task, *words) + self.fill(["{extra}"], task)

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Write coordinates in pixels of the micrograph, the best first."""
        picks = read_rows(found["picks"], 2)
        kept = picks.scores >= task.params.threshold if len(picks.scores) else np.ones(len(picks.points), bool)
        picks = Picks(picks.points[kept] * task.params.bin, picks.scores[kept] if len(picks.scores) else picks.scores)
        with task.context.write(relative := f"coordinates/{task.item.name}.star") as temporary:
            write_picks(temporary, picks)
        task.figures |= {"picks": len(picks.points)}
        return {"coordinates": task.context.job / relative}

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write the list of coordinate files."""
        return write_coordinate_files(done, context)
