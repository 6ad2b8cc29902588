"""MemBrain-seg: its arguments, the files it leaves, its ways to fail."""

import sys
from pathlib import Path

import fake
from fake_python import parser


def membrain(arguments: list[str]) -> None:
    """``membrain segment``: asks for what is missing, so a closed standard input is seen."""
    fake.begin("membrain", arguments)
    if not arguments or arguments[0] != "segment":
        sys.exit(2)
    flags = (
        "tomogram-path ckpt-path out-folder rescale-patches? no-rescale-patches? in-pixel-size:float"
        " out-pixel-size:float store-probabilities? store-connected-components? connected-component-thres:int"
        " test-time-augmentation? no-test-time-augmentation? segmentation-threshold:float sliding-window-size:int"
        " store-uncertainty-map?"
    )
    given = parser("membrain segment", flags).parse_args(arguments[1:])
    if not given.ckpt_path:
        input("Ckpt path: ")
    if given.sliding_window_size % 32:
        print("ValueError: window", file=sys.stderr)
        sys.exit(1)
    shape = fake.shape_of(given.tomogram_path)
    token = Path(given.ckpt_path).name.partition("-val_loss")[0]
    base = f"{given.out_folder}/{Path(given.tomogram_path).stem}"
    fake.image(f"{base}_{token}_segmented.mrc", shape, 10.0, 2 if fake.MODE == "nan" else 0)
    if given.store_probabilities:
        fake.image(f"{base}_scores.mrc", shape, 10.0)
