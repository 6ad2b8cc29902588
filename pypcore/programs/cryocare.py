"""cryoCARE: three scripts, each told by a JSON file."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pypcore.errors import InputError
from pypcore.formats.mrc import HEADER_BYTES, parse_header
from pypcore.items import Item
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.halves import other_half, whole_name


def _gpu_ids(task: Task) -> list[int]:
    # Without the key it raises; without a GPU it says that GPU 0 is not found, and uses the CPU.
    return list(range(len(task.devices))) or [0]


def _shape(path: Path) -> tuple[int, int, int]:
    with path.open("rb") as file:
        return parse_header(file.read(HEADER_BYTES), path).shape


class _Halves(Adapter):
    """Items are first halves; the second lies beside."""

    def check_item(self, item: Item, params: Any) -> None:
        """Both halves must be there, and of one size."""
        other = other_half(item.path, params.halves)
        if (mine := _shape(item.path)) != (theirs := _shape(other)):
            raise InputError(f"{item.given}: {mine} voxels, and its other half {other.name} has {theirs}")

    def write(self, task: Task, name: str, settings: dict[str, Any]) -> str:
        """Write what a script is told; return the file's name."""
        (task.folder / name).write_text(json.dumps(settings, indent=1) + "\n")
        return name


class Train(_Halves):
    """Halves to a network."""

    def rules(self, params: Any) -> None:
        """A cube is halved ``depth`` times."""
        if params.patch % 2**params.depth:
            raise ValueError(
                f"patch {params.patch} is not a multiple of {2**params.depth}, 2 to the depth {params.depth}"
            )

    def check_item(self, item: Item, params: Any) -> None:
        """A cube must be smaller than the tomogram."""
        super().check_item(item, params)
        if params.patch >= min(shape := _shape(item.path)):
            raise InputError(f"{item.given}: {shape} voxels hold no cube of {params.patch}; give a smaller --patch")

    def lay_in(self, task: Task) -> None:
        """Two folders, in which halves have one name."""
        for item in task.items:
            task.linked(item.path, f"even/{item.name}.mrc")
            task.linked(other_half(item.path, task.params.halves), f"odd/{item.name}.mrc")
        task.inputs = [f"{item.name}.mrc" for item in task.items]

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Cut out the cubes, then train."""
        params = task.params
        extract = {
            "even": [f"even/{name}" for name in task.inputs],
            "odd": [f"odd/{name}" for name in task.inputs],
            "patch_shape": [params.patch] * 3,
            "num_slices": params.cubes,
            "split": params.split,
            "tilt_axis": params.tilt_axis,
            "n_normalization_samples": params.normalization_cubes,
            "path": "data",
        }
        yield ["cryoCARE_extract_train_data.py", "--conf", self.write(task, "extract.json", extract)]
        train = {
            "train_data": "data",
            "epochs": params.epochs,
            "steps_per_epoch": params.steps_per_epoch,
            "batch_size": params.batch_size,
            "unet_kern_size": params.kernel,
            "unet_n_depth": params.depth,
            "unet_n_first": params.features,
            "learning_rate": params.learning_rate,
            "model_name": "care",
            "path": "model",
            "gpu_id": _gpu_ids(task),
        }
        yield ["cryoCARE_train.py", "--conf", self.write(task, "train.json", train)]


class Predict(_Halves):
    """Halves to a denoised tomogram."""

    def product_name(self, item: Item, params: Any) -> str:
        """The tomogram is no half."""
        return whole_name(item.name, params.halves)

    def check_item(self, item: Item, params: Any) -> None:
        """The network must be an archive."""
        super().check_item(item, params)
        if params.model.is_file() and not tarfile.is_tarfile(params.model):
            raise InputError(f"{params.model}: not a network of cryoCARE (a .tar.gz)")

    def lay_in(self, task: Task) -> None:
        """Both halves under one name; the network unpacked by the program itself, into our folder."""
        task.linked(task.item.path, "even/in.mrc")
        task.linked(other_half(task.item.path, task.params.halves), "odd/in.mrc")
        task.linked(task.params.model, "care.tar.gz")
        task.inputs = ["even/in.mrc"]

    def steps(self, task: Task) -> Iterator[list[str]]:
        """The output is a folder, and the file in it is called as the even half is."""
        settings = {
            "path": "care.tar.gz",
            "even": "even/in.mrc",
            "odd": "odd/in.mrc",
            "n_tiles": list(task.params.tiles),
            "output": "out",
            "overwrite": True,
            "gpu_id": _gpu_ids(task)[0],
        }
        yield ["cryoCARE_predict.py", "--conf", self.write(task, "predict.json", settings)]
