"""pytom-match-pick: its two programs, the files they leave, their ways to fail."""

import sys
from pathlib import Path

import fake
from fake_python import parser, visible


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
