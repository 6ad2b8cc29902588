"""tomoDRGN: particles in STAR and stacks to a network and one latent vector a particle."""

import re
from pathlib import Path
from typing import Any

from pypcore.errors import InputError
from pypcore.formats.star import read_star
from pypcore.items import Item
from pypcore.programs.adapter import Adapter, Task


class Train(Adapter):
    """One particles STAR to a network."""

    def check_item(self, item: Item, params: Any) -> None:
        """The STAR must list images."""
        if not any("rlnImageName" in block.columns for block in read_star(item.path).values()):
            raise InputError(f"{item.given}: no table has a column rlnImageName: not a STAR file of particles")

    def lay_in(self, task: Task) -> None:
        """Show the STAR; the images stay where they are, named from a folder."""
        if len(task.items) != 1:
            raise InputError(
                f"tomodrgn trains on one particles STAR, and {len(task.items)} were given; join them first"
            )
        super().lay_in(task)
        task.words["images"] = str(task.params.images or task.item.path.parent)
        if task.params.resume_from is not None:
            task.words["resume_from"] = task.shown(task.params.resume_from, "resume")

    def judge(self, task: Task, ended: Any) -> None:
        """Keep the last loss as a figure."""
        super().judge(task, ended)
        for line in ended.lines:
            if found := re.search(r"gen loss=(-?[\d.]+(?:e-?\d+)?)", line):
                task.figures["loss"] = float(found[1])

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """See that pickles are pickles: whole, and not text."""
        from pypcore.programs.process import ProgramError

        for kind in ("latent", "settings"):
            data = found[kind].read_bytes()
            if data[:1] != b"\x80" or data[-1:] != b".":
                raise ProgramError(f"tomodrgn exited with 0, but its {found[kind].name} is cut off")
        return super().take(task, found)
