"""pytom-match-pick: template matching, then the peaks, into coordinates as RELION keeps those of tomograms.

Its particles STAR has rlnCoordinateX, Y, Z in voxels from 0 and angles in RELION's convention, and a score (rlnLCCmax).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pypcore.errors import InputError
from pypcore.formats.mrc import HEADER_BYTES, parse_header, read_mrc, write_mrc
from pypcore.formats.star import read_star, write_star
from pypcore.items import Item
from pypcore.operation import Context, Done
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.aretomo import angles_beside, read_angles
from pypcore.programs.process import ProgramError


class Match(Adapter):
    """A tomogram and a template to particles."""

    def rules(self, params: Any) -> None:
        """Search ranges go upwards."""
        for axis in "xyz":
            low_high = getattr(params, f"search_{axis}")
            if low_high and low_high[0] >= low_high[1]:
                raise ValueError(f"search_{axis} {low_high[0]},{low_high[1]}: the first must be less than the second")

    def check_item(self, item: Item, params: Any) -> None:
        """Angles must be there, and the template smaller than the tomogram."""
        read_angles(angles_beside(item, params.angles))
        shapes = []
        for path in (item.path, params.template):
            with path.open("rb") as file:
                shapes.append(parse_header(file.read(HEADER_BYTES), path).shape)
        if any(small > large for small, large in zip(shapes[1], shapes[0], strict=True)):
            raise InputError(
                f"{item.given}: {shapes[0]} voxels, and the template {params.template.name} has {shapes[1]}"
            )

    def lay_in(self, task: Task) -> None:
        """Show all under short names; make a sphere where no mask is given."""
        params = task.params
        task.inputs = [task.linked(task.item.path, "in.mrc")]
        task.linked(params.template, "template.mrc")
        task.linked(angles_beside(task.item, params.angles), "angles.tlt")
        for name in ("dose", "tomogram_mask"):
            if getattr(params, name) is not None:
                task.words[name] = task.shown(getattr(params, name), name.replace("_", "-"))
        (task.folder / "out").mkdir()
        if params.mask is not None:
            task.linked(params.mask, "mask.mrc")
            return
        template, _ = read_mrc(params.template)
        radius = params.diameter / 2 / params.voxel_size
        write_mrc(task.folder / "mask.mrc", sphere(template.shape[0], radius), params.voxel_size, volume=True)

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Match, then take the peaks."""
        params = task.params
        words = ["pytom_match_template.py", "-t", "template.mrc", "-v", "in.mrc", "-m", "mask.mrc", "-d", "out"]
        words += ["-a", "angles.tlt", "--voxel-size-angstrom", f"{params.voxel_size:g}", *self.options(task)]
        if params.defocus is not None:
            words += ["--defocus", f"{params.defocus / 1e4:g}", "--voltage", f"{params.voltage:g}"]  # micrometres
            words += [
                "--spherical-aberration",
                f"{params.cs:g}",
                "--amplitude-contrast",
                f"{params.amplitude_contrast:g}",
            ]
        yield words + self.fill(["{devices}", "{extra}"], task)
        words = ["pytom_extract_candidates.py", "-j", "out/in_job.json", "-n", str(params.number)]
        words += ["--particle-diameter", f"{params.diameter:g}", *self.fill([["-c", "{cutoff}"]], task)]
        yield [*words, *(["--tophat-filter"] if params.tophat else [])]

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Keep the scores; give the particles their tomogram's name."""
        rows = particles(found["particles"])
        count = len(next(iter(rows.values()), []))
        rows["rlnTomoName"] = [task.item.name] * count
        with task.context.write(relative := f"coordinates/{task.item.name}.star") as temporary:
            write_star(temporary, {"particles": rows})
        products = {"coordinates": task.context.job / relative}
        task.figures |= {"particles": count}
        return products | {kind: self.keep(task, kind, found[kind]) for kind in ("scores", "angles")}

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write one STAR of all particles."""
        columns: dict[str, list[Any]] = {}
        for one in done:
            rows = read_star(one.products["coordinates"])["particles"].columns
            for name, values in rows.items():
                columns.setdefault(name, []).extend(values)
        with context.write("particles.star") as temporary:
            write_star(temporary, {"particles": columns})
        return {"particles": context.job / "particles.star"}


def particles(path: Path) -> dict[str, list[Any]]:
    """Read pytom's particles; ProgramError where coordinates are missing or no numbers."""
    for block in read_star(path).values():
        if "rlnCoordinateX" in block.columns:
            for name in ("rlnCoordinateX", "rlnCoordinateY", "rlnCoordinateZ"):
                try:
                    values = np.array(block.columns[name], float)
                except (KeyError, ValueError) as error:
                    raise ProgramError(
                        f"pytom-match-pick exited with 0, but its {path.name}: {name}: {error}"
                    ) from error
                if not np.isfinite(values).all():
                    raise ProgramError(
                        f"pytom-match-pick exited with 0, but its {path.name} has a {name} that is not finite"
                    )
            return dict(block.columns)
    raise ProgramError(f"pytom-match-pick exited with 0, but its {path.name} has no rlnCoordinateX")


def sphere(box: int, radius: float) -> "np.typing.NDArray[np.float32]":
    """Return a sphere of ``radius`` voxels around box // 2, with an edge that falls off over two voxels."""
    axis = np.arange(box) - box // 2
    distance = np.sqrt(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2)
    return np.exp(-(np.clip(distance - radius, 0, None) ** 2) / 2).astype(np.float32)
