"""cet_pick (MiLoPYP and its picker) and spr_pick: scripts under a python."""

import os
import struct
import sys
import zipfile
from io import BytesIO
from pathlib import Path

import fake
from fake_python import TORCH, parser, visible


def python(arguments: list[str]) -> None:
    """A python that runs the scripts of cet_pick and spr_pick."""
    script, rest = Path(arguments[0]).name, arguments[1:]
    if arguments[0] == "-c" and "importlib.metadata" in arguments[1]:
        versions = {"membrain-seg": "0.0.10", "cryoCARE": "0.3.0", "pytom-match-pick": "0.14.0", "tomodrgn": "1.0.1"}
        print(versions[arguments[1].split("'")[1]])
        return
    if arguments[0] == "-c":
        sys.exit(0 if fake.MODE != "fallback" else 1)
    fake.begin(script, rest, "torch.cuda is not available")
    if script == "__main__.py":
        _spr_pick(rest)
        return
    task, rest = rest[0], rest[1:]
    flags = (
        "dataset exp_id debug:int load_model pretrained_model gpus num_workers:int save_all? arch down_ratio:int"
        " lr:float num_epochs:int contrastive? batch_size:int val_intervals:int bbox:int thresh:float nms:int"
        " K:int out_thresh:float with_score? train_img_txt train_coord_txt val_img_txt val_coord_txt test_img_txt"
        " gauss:float out_id order dog"
    )
    given = parser(script, flags).parse_args(rest)
    given.gpus = given.gpus or "0"
    if given.gpus != "-1" and given.gpus.split(",") != visible():
        fake.strict(f"CUDA_VISIBLE_DEVICES is overwritten by {given.gpus}, and was {','.join(visible())}")
    if given.debug != 0:
        fake.strict("--debug is 4 where it is not given: one GPU and no workers")
    images = Path(given.train_img_txt or given.test_img_txt)
    rows = [line.split("\t") for line in images.read_text().splitlines()]
    if rows[0] != ["image_name", "rec_path"] or not all(os.path.isabs(row[1]) for row in rows[1:]):
        fake.strict(f"relative paths are looked for in ./data: {rows}")
    folder = Path("exp", task, given.exp_id)
    match script:
        case "simsiam_main.py":
            if not given.pretrained_model:
                print("RuntimeError: Could not load pretrained model http://download.pytorch.org", file=sys.stderr)
                sys.exit(1)
            for epoch in range(1, given.num_epochs + 1):
                fake.binary(folder / f"model_{epoch}.pth", TORCH)
        case "simsiam_test_hm_3d.py":
            _npz(folder / "all_output_info.npz")
        case "main.py":
            fake.binary(folder / "model_last_contrastive.pth", TORCH)
        case "test.py":
            lines = [f"{x}\t{y}\t{z}\t{score}\n" for x, y, z, score in ((1, 2, 3, 0.3), (4, 5, 6, fake.number(0.9)))]
            fake.text(
                folder / given.out_id / f"{rows[1][0]}.txt",
                "".join(lines),
            )


def _npz(path: Path) -> None:
    data = BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4,), }"
        header += b" " * (118 - len(header) - 1) + b"\n"
        values = struct.pack("<4f", 1, 2, fake.number(3), 4)
        archive.writestr("embeddings.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + values)
    fake.binary(path, data.getvalue())


def _spr_pick(rest: list[str]) -> None:
    if rest[:2] == ["train", "start"]:
        flags = (
            "algorithm noise_style noise_value runs_dir train_dataset alpha:float tau:float train_label"
            " validation_dataset validation_label iterations:int num:int nms:int bb:int train_batch_size:int"
            " patch_size:int"
        )
        given = parser("train", flags).parse_args(rest[2:])
        if not all((given.algorithm, given.noise_style, given.alpha, given.tau, given.train_label, given.iterations)):
            sys.exit(2)
        fake.binary(Path(given.runs_dir, "00001-train", "final.training"), TORCH)
    elif rest[0] == "eval":
        given = parser("eval", "model dataset runs_dir batch_size:int nms:int num:int").parse_args(rest[1:])
        name = Path(given.dataset).read_text().splitlines()[1].split("\t")[0]
        lines = f"image_name\tx_coord\ty_coord\tscore\n{name}\t3\t4\t{fake.number(0.5)}\n{name}\t8\t2\t0.75\n"
        fake.text(
            Path(given.runs_dir, "00002-eval", "eval_imgs", f"{name}.txt"),
            lines,
        )
