"""tomoDRGN: its arguments, the files it leaves, its ways to fail."""

from pathlib import Path

import fake
from fake_python import parser


def tomodrgn(arguments: list[str]) -> None:
    """``tomodrgn train_vae`` of 1.0.1."""
    if arguments == ["--version"]:
        print("tomoDRGN 1.0.1")
        return
    fake.begin("tomodrgn", arguments, "WARNING: No GPUs detected")
    flags = (
        "source-software datadir o/outdir zdim:int n/num-epochs:int b/batch-size:int enc-dim-A:int"
        " enc-layers-A:int out-dim-A:int enc-dim-B:int enc-layers-B:int dec-dim:int dec-layers:int seed:int"
        " uninvert-data? use-first-nptcls:int load multigpu? no-amp?"
    )
    made = parser("tomodrgn train_vae", flags)
    made.add_argument("particles")
    if arguments[0] != "train_vae":
        made.error("the commands of older releases are gone")
    given = made.parse_args(arguments[1:])
    print("# [Train Epoch: 1/1] [10/20 subtomos] gen loss=0.9\r# [Train Epoch: 1/1] [20/20 subtomos] gen loss=0.75")
    pickle = b"\x80\x04\x95" + bytes(20) + b"."
    for name in ("weights.pkl", "z.train.pkl", "config.pkl"):
        fake.binary(Path(given.outdir, name), pickle)
    fake.text(Path(given.outdir, "run.log"), "done\n")
