"""cryoCARE: its JSON configurations, the files it leaves, its ways to fail."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import fake
from fake_python import parser, visible


def cryocare(name: str) -> Callable[[list[str]], None]:
    """One of the three scripts: each takes --conf FILE.json alone."""

    def script(arguments: list[str]) -> None:
        made = parser(name, "conf")
        settings = json.loads(Path(made.parse_args(arguments).conf).read_text())
        fake.begin(name, arguments, settings=settings)
        {"cryoCARE_extract_train_data.py": _care_extract, "cryoCARE_train.py": _care_train}.get(name, _care_predict)(
            settings
        )

    return script


def _known(settings: dict[str, object], names: str) -> None:
    if set(settings) - set(names.split()):
        fake.strict(f"{set(settings) - set(names.split())} are not read")


def _care_gpus(given: object) -> None:
    ids = given if isinstance(given, list) else [given]
    if not all(isinstance(one, int) for one in ids):
        print("RuntimeError: gpu_id", file=sys.stderr)
        sys.exit(1)
    if fake.MODE == "fallback":
        print(f"WARNING: GPU {ids[0]} not found", file=sys.stderr)
    for one in ids:
        if one >= len(visible()):
            print(f"WARNING: GPU {one} not found", file=sys.stderr)


def _care_extract(settings: dict[str, object]) -> None:
    _known(settings, "even odd mask patch_shape num_slices split tilt_axis n_normalization_samples path overwrite")
    if Path(str(settings["path"])).exists():
        print("data already exists")
        sys.exit(1)
    even, odd = settings["even"], settings["odd"]
    assert isinstance(even, list)
    assert isinstance(odd, list)
    if not all(Path(one).is_file() for one in [*even, *odd]):
        fake.strict("a half is missing")
    for name in ("train_data.npz", "val_data.npz"):
        Path(str(settings["path"])).mkdir(exist_ok=True)
        Path(str(settings["path"]), name).write_bytes(b"npz")


def _care_train(settings: dict[str, object]) -> None:
    _known(settings, "train_data epochs steps_per_epoch batch_size unet_kern_size unet_n_depth unet_n_first"
                     " learning_rate model_name path gpu_id")  # fmt: skip
    _care_gpus(settings["gpu_id"])
    print(" 1/2 [====>] - ETA: 1s - loss: 0.5 - mse: 0.3\r 2/2 [=====] - loss: 0.4 - mse: 0.2")
    folder = Path(str(settings["path"]))
    (folder / str(settings["model_name"])).mkdir(parents=True)
    import io
    import tarfile

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        entry = tarfile.TarInfo("config.json")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"{}"))
    fake.binary(folder / f"{settings['model_name']}.tar.gz", data.getvalue())


def _care_predict(settings: dict[str, object]) -> None:
    _known(settings, "path even odd n_tiles output overwrite gpu_id")
    if isinstance(settings.get("overwrite"), str):
        fake.strict("overwrite is a string: always true")
    _care_gpus(settings["gpu_id"])
    even = Path(str(settings["even"]))
    fake.image(Path(str(settings["output"]), even.name), fake.shape_of(even), 10.0)
