"""IsoNet and IsoNet2: their arguments, the files they leave, their ways to fail."""

import os
import sys
from pathlib import Path

import fake
from fake_python import TORCH, parser, visible


def isonet(arguments: list[str]) -> None:
    """IsoNet v1: catches everything, writes the traceback to log.txt and exits with 0."""
    fake.begin("isonet.py", arguments, "Skipping registering GPU devices...")
    command, rest = arguments[0], arguments[1:]
    flags = {
        "prepare_star": "output_star pixel_size:float defocus:float number_subtomos:int",
        "deconv": "deconv_folder snrfalloff:float deconvstrength:float voltage:float cs:float ncpu:int",
        "make_mask": "mask_folder density_percentage:float std_percentage:float patch_size:int z_crop:float",
        "extract": "subtomo_folder subtomo_star cube_size:int crop_size:int",
        "refine": "gpuID iterations:int data_dir result_dir batch_size:int steps_per_epoch:int noise_level"
        " noise_start_iter preprocessing_ncpus:int",
        "predict": "gpuID output_dir cube_size:int crop_size:int batch_size:int use_deconv_tomo",
    }
    made = parser(f"isonet.py {command}", flags[command])
    made.add_argument("files", nargs="*")
    given = made.parse_args(rest)
    if fake.MODE == "caught":
        Path("log.txt").write_text("Traceback (most recent call last):\nKeyError: 'rlnDefocus'\n")
        return
    match command:
        case "prepare_star":
            _tomograms(given.files[0], given.output_star)
        case "deconv":
            _deconvolve(given.deconv_folder)
        case "extract":
            Path(given.subtomo_star).write_text("data_\n\nloop_\n_rlnSubtomoIndex\n1\n")
        case "refine":
            _isonet_gpus(given.gpuID)
            for iteration in range(1, given.iterations + 1):
                fake.binary(f"{given.result_dir}/model_iter{iteration:02d}.h5", b"\x89HDF network")
        case "predict":
            _isonet_gpus(given.gpuID)
            for path in Path("tomos").iterdir():
                fake.image(f"{given.output_dir}/{path.stem}_corrected.mrc", fake.shape_of(path), 10.0)


def _isonet_gpus(given: str | None) -> None:
    if not given:
        fake.strict("--gpuID is 0,1,2,3 where it is not given")
    assert given
    if given.split(",") != visible():
        fake.strict(f"CUDA_VISIBLE_DEVICES is overwritten by {given}, and was {','.join(visible())}")


def _tomograms(folder: str, star: str) -> None:
    names = sorted(os.listdir(folder))
    if not all(name.endswith((".mrc", ".rec")) for name in names):
        fake.strict(f"{folder} holds more than tomograms")
    rows = "".join(f"{number} {folder}/{name} 10 0\n" for number, name in enumerate(names, 1))
    Path(star).write_text(f"data_\n\nloop_\n_rlnIndex\n_rlnTomoName\n_rlnPixelSize\n_rlnDefocus\n{rows}")


def _deconvolve(folder: str) -> None:
    for path in Path("tomos").iterdir():
        fake.image(f"{folder}/{path.name}", fake.shape_of(path), 10.0)


def isonet2(arguments: list[str]) -> None:
    """IsoNet2."""
    fake.begin("isonet.py", arguments, "ValueError: No CUDA GPUs detected")
    command, rest = arguments[0], arguments[1:]
    train = "output_dir gpuID ncpus:int arch cube_size:int epochs:int batch_size loss_func learning_rate:float"
    flags = {
        "prepare_star": "full even odd star_name pixel_size:float number_subtomos:int",
        "deconv": "deconv_folder snrfalloff:float deconvstrength:float ncpus:int",
        "make_mask": "input_column mask_folder",
        "refine": train,
        "denoise": train,
        "predict": "output_dir gpuID input_column padding_factor:float",
    }
    made = parser(f"isonet.py {command}", flags[command])
    made.add_argument("files", nargs="*")
    given = made.parse_args(rest)
    if command in ("refine", "denoise", "predict"):
        ids = [int(one) for one in (given.gpuID or "").split(",") if one]
        if not visible() or any(one >= len(visible()) for one in ids) or not ids:
            print("ValueError: No CUDA GPUs detected", file=sys.stderr)
            sys.exit(1)
    match command:
        case "prepare_star":
            _tomograms(given.full or given.even, given.star_name)
        case "deconv":
            _deconvolve("deconv")
        case "refine" | "denoise":
            fake.binary(f"{given.output_dir}/network_n2n_{given.arch}_{given.cube_size}_full.pt", TORCH)
        case "predict":
            for path in Path("tomos").iterdir():
                fake.image(f"{given.output_dir}/corrected_n2n_unet-medium_{path.name}", fake.shape_of(path), 10.0)
