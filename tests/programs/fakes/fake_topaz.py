"""Topaz 0.3.20: its arguments as its own parser reads them, the files it leaves, its ways to fail."""

import os
import sys
from pathlib import Path

import fake
from fake_python import TORCH, parser, visible


def topaz(arguments: list[str]) -> None:
    """Subcommands of topaz 0.3.20."""
    if arguments == ["--version"]:
        print("TOPAZ 0.3.20")
        return
    fake.begin("topaz", arguments, "CudaWarning: Falling back to CPU.")
    command, rest = arguments[0], arguments[1:]
    {"preprocess": _preprocess, "extract": _extract, "train": _train, "denoise": _denoise, "denoise3d": _denoise3d}[
        command
    ](rest)


def _device(given: int, all_: bool = False) -> None:
    if given >= len(visible()) or (given == -2 and not all_):
        print("CudaWarning: Falling back to CPU.", file=sys.stderr)
    print(f"# using device={given} with cuda={0 <= given < len(visible()) or given == -2}", file=sys.stderr)


def _preprocess(rest: list[str]) -> None:
    made = parser(
        "topaz preprocess", "s/scale:int d/device:int o/destdir j/num-threads:int t/num-workers:int niters:int"
    )
    made.add_argument("files", nargs="+")
    given = made.parse_args(rest)
    for file in given.files:
        _, rows, columns = fake.shape_of(file)
        path = Path(given.destdir, Path(file).name)
        mode, fake.MODE = fake.MODE, "ok"  # it is the last step that fails
        fake.image(path, (1, rows // given.scale, columns // given.scale), 4.0)
        fake.MODE = mode


def _extract(rest: list[str]) -> None:
    flags = "m/model r/radius:int t/threshold:float o/output d/device:int j/num-threads:int x/up-scale:float"
    made = parser("topaz extract", flags)
    made.add_argument("paths", nargs="*")
    given = made.parse_args(rest)
    if given.radius is None:
        made.error("--radius is needed")
    _device(given.device)
    rows = ["image_name\tx_coord\ty_coord\tscore"]
    for path in given.paths:
        rows += [f"{Path(path).stem}\t{x}\t{y}\t{score}" for x, y, score in ((10, 20, 0.5), (30, 5, 2.25), (7, 9, -3.0))
                 if score > given.threshold]  # fmt: skip
    if fake.MODE == "nan":
        rows[-1] = rows[-1].rpartition("\t")[0] + "\tnan"
    text = "\n".join(rows) + "\n"
    fake.text(given.output, text)


def _train(rest: list[str]) -> None:
    flags = (
        "train-images image-ext train-targets n/num-particles:float pi:float r/radius:int num-epochs:int"
        " epoch-size:int minibatch-size:int m/model units:int d/device:int num-workers:int j/num-threads:int"
        " save-prefix o/output pretrained? no-pretrained?"
    )
    made = parser("topaz train", flags)
    given = made.parse_args(rest)
    if given.num_particles is None and given.pi is None:
        made.error("-n or --pi is needed")
    _device(given.device)
    rows = [line.split("\t") for line in Path(given.train_targets).read_text().splitlines()]
    names = {path.stem for path in Path(given.train_images).glob(f"*{given.image_ext}")}
    if rows[0] != ["image_name", "x_coord", "y_coord"] or not {row[0] for row in rows[1:]} <= names:
        fake.strict(f"targets name images that are not there: {rows[:3]}, {sorted(names)}")
    for epoch in range(1, given.num_epochs + 1):
        fake.binary(f"{given.save_prefix}_epoch{epoch}.sav", TORCH)
    fake.text(given.output, "epoch\titer\tsplit\tloss\n" + f"1\t1\ttrain\t{fake.number(0.5)}\n")


def _denoise(rest: list[str]) -> None:
    made = parser(
        "topaz denoise",
        "d/device:int o/output s/patch-size:int p/patch-padding:int lowpass:float gaussian:float arch"
        " j/num-threads:int",
    )
    made.add_argument("micrographs", nargs="*")
    given = made.parse_args(rest)
    if given.arch not in ("unet", "unet-small", "affine"):
        fake.strict(f"--arch {given.arch} has no pretrained network in topaz 0.3.20")
    _device(given.device)
    for path in given.micrographs:
        print("# [1/1] 100.00%", file=sys.stderr)
        fake.image(Path(given.output, Path(path).name), fake.shape_of(path), 1.5)


def _denoise3d(rest: list[str]) -> None:
    flags = (
        "o/output m/model a/even-train-path b/odd-train-path N-train:int N-test:int c/crop:int batch-size:int"
        " num-epochs:int save-interval:int save-prefix num-workers:int j/num-threads:int g/gaussian:float"
        " s/patch-size:int p/patch-padding:int d/device:int"
    )
    made = parser("topaz denoise3d", flags)
    made.add_argument("volumes", nargs="*")
    given = made.parse_args(rest)
    _device(given.device, all_=True)
    if given.even_train_path:
        if sorted(os.listdir(given.even_train_path)) != sorted(os.listdir(given.odd_train_path)):
            fake.strict("even and odd folders hold other names")
        fake.binary(f"{given.save_prefix}_epoch{given.num_epochs}.sav", TORCH)
    if given.model not in (None, "unet-3d", "unet-3d-10a", "unet-3d-20a") and not Path(given.model).is_file():
        print(f"ValueError: Unable to load model: {given.model}", file=sys.stderr)
        sys.exit(1)
    for path in given.volumes:
        print("# [1/2] 50.00%\r# [2/2] 100.00%", file=sys.stderr)
        fake.image(Path(given.output, Path(path).name), fake.shape_of(path), 10.0)
