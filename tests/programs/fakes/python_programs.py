"""The programs in Python: their arguments as their own parsers read them, the files they leave, their ways to"
" fail."""

import argparse
import json
import math
import os
import struct
import sys
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import fake

TORCH = b"PK\x03\x04 a network of random numbers " * 8


def parser(name: str, flags: str, **kinds: object) -> argparse.ArgumentParser:
    """Return a parser of ``flags``: ``a/alpha:int b?`` long names, a slash before the short one's, ``?`` no value."""
    made = argparse.ArgumentParser(prog=name, allow_abbrev=False)
    types: dict[str, Callable[[str], object]] = {"int": int, "float": float, "str": str}
    for flag in flags.split():
        bare = flag.rstrip("?+")
        names, _, kind = bare.partition(":")
        words = [f"-{one}" if len(one) == 1 and one != "K" else f"--{one}" for one in names.split("/")]
        if flag.endswith("?"):
            made.add_argument(*words, action="store_true")
        elif flag.endswith("+"):
            made.add_argument(*words, nargs="+", type=types[kind or "str"])
        else:
            made.add_argument(*words, type=types[kind or "str"])
    return made


def visible() -> list[str]:
    """Return the entries of CUDA_VISIBLE_DEVICES."""
    return [one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one]


# ---- Topaz


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


# ---- MemBrain-seg


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


# ---- cryoCARE


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


# ---- IsoNet and IsoNet2


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


# ---- pytom-match-pick


def pytom_match(arguments: list[str]) -> None:
    """``pytom_match_template.py``: not even its help runs without a GPU."""
    fake.begin("pytom_match_template.py", arguments)
    if not visible():
        print("cupy_backends.cuda.api.runtime.CUDARuntimeError: cudaErrorInsufficientDriver", file=sys.stderr)
        sys.exit(1)
    flags = (
        "t/template v/tomogram m/mask d/destination particle-diameter:float angular-search a/tilt-angles+"
        " per-tilt-weighting? dose-accumulation defocus:float amplitude-contrast:float spherical-aberration:float"
        " voltage:float low-pass:float high-pass:float voxel-size-angstrom:float s/volume-split:int+ search-x:int+"
        " search-y:int+ search-z:int+ tomogram-mask spectral-whitening? r/random-phase-correction? rng-seed:int"
        " z-axis-rotational-symmetry:int g/gpu-ids:int+ half-precision?"
    )
    made = parser("pytom_match_template.py", flags)
    given = made.parse_args(arguments)
    if not given.gpu_ids or any(one >= len(visible()) for one in given.gpu_ids):
        made.error("gpu-ids")
    if not Path(given.destination).is_dir():
        made.error("destination must exist")
    ctf = (given.defocus, given.amplitude_contrast, given.spherical_aberration, given.voltage)
    if any(one is not None for one in ctf) and None in ctf:
        made.error("all or none of the CTF's parameters")
    if given.defocus is not None and given.defocus > 100:
        fake.strict(f"--defocus {given.defocus} is in micrometres")
    base = f"{given.destination}/{Path(given.tomogram).stem}"
    shape = fake.shape_of(given.tomogram)
    fake.image(f"{base}_scores.mrc", shape, 10.0)
    fake.image(f"{base}_angles.mrc", shape, 10.0)
    Path(f"{base}_job.json").write_text("{}")


def pytom_extract(arguments: list[str]) -> None:
    """``pytom_extract_candidates.py``."""
    fake.begin("pytom_extract_candidates.py", arguments)
    given = parser(
        "x", "j/job-file n/number-of-particles:int particle-diameter:float c/cut-off:float tophat-filter?"
    ).parse_args(arguments)
    names = (
        "rlnCoordinateX",
        "rlnCoordinateY",
        "rlnCoordinateZ",
        "rlnAngleRot",
        "rlnAngleTilt",
        "rlnAnglePsi",
        "rlnLCCmax",
    )
    rows = "".join(
        f"{10 + i} {20 - i} {fake.number(5)} {i} 30.0 60.0 {0.5 - 0.1 * i}\n"
        for i in range(min(3, given.number_of_particles))
    )
    columns = "".join(f"_{name} #{number}\n" for number, name in enumerate(names, 1))
    fake.text(given.job_file.replace("_job.json", "_particles.star"), f"data_\n\nloop_\n{columns}{rows}")


# ---- cet_pick (MiLoPYP and its picker) and spr_pick: scripts under a python


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


# ---- tomoDRGN


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


# ---- CTFFIND


def ctffind(arguments: list[str]) -> None:
    """CTFFIND 4.1: asks on standard input."""
    if arguments == ["--version"]:
        print("CTFFIND version 4.1.14")
        return
    fake.begin("ctffind", arguments)
    answers = sys.stdin.read().split("\n")
    if len(answers) < 3:
        print("Fatal error: nothing was answered")
        sys.exit(1)
    ask = iter(answers)
    image = next(ask)
    sections, _, _ = fake.shape_of(image)
    if sections > 1 and next(ask) != "no":
        fake.strict("movies are not asked for here")
    out = next(ask)
    _pixel, _voltage, _cs, _amplitude = (float(next(ask)) for _ in range(4))
    box = int(next(ask))
    coarse, fine, least, most, _step = (float(next(ask)) for _ in range(5))
    if coarse <= fine or least >= most:
        print("Error: ranges")
        sys.exit(1)
    for question in ("known astigmatism", "slow search"):
        if next(ask) not in ("yes", "no"):
            fake.strict(question)
    if next(ask) == "yes":
        float(next(ask))
    if next(ask) == "yes":
        for _ in range(3):
            float(next(ask))
    if next(ask) != "no" or any(ask):
        fake.strict("expert options, or answers that nobody asked for")
    fake.image(out, (sections, box // 8, box // 8))
    rows = "".join(
        f"{i + 1:.6f} {12000.5 + i:.6f} {fake.number(11500.25):.6f} 30.0 {math.pi / 2:.6f} 0.12 4.5\n"
        for i in range(sections)
    )
    fake.text(out.replace(".mrc", ".txt"), f"# Output from CTFFind version 4.1.14\n{rows}")
    fake.text(out.replace(".mrc", "_avrot.txt"), "# profile\n0 1 2\n")


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "topaz": topaz,
    "membrain": membrain,
    "isonet.py": isonet,
    "isonet2.py": isonet2,
    "pytom_match_template.py": pytom_match,
    "pytom_extract_candidates.py": pytom_extract,
    "python": python,
    "tomodrgn": tomodrgn,
    "ctffind": ctffind,
    **{name: cryocare(name) for name in ("cryoCARE_extract_train_data.py", "cryoCARE_train.py", "cryoCARE_predict.py")},
}
