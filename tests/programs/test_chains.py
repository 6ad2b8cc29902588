"""Jobs whose products are the next job's inputs, through the engine: names, tables, models."""

from pathlib import Path
from typing import Any

import czii
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from program_cases import Bench, halves, micrographs, movie

from pypcore.formats.mrc import read_mrc
from pypcore.formats.star import read_star, write_star
from pypcore.job import Job
from pypcore.local import run_here
from pypcore.operation import get_operation
from pypcore.options import prepare
from pypcore.programs.adapter import Task
from pypcore.programs.registry import shipped
from pypcore.programs.start import Start


def run(operation: str, inputs: list[str], job: str, **options: Any) -> Path:
    outcome = run_here(Job(Path(job).absolute()), prepare(operation, inputs, job, options).request)
    assert outcome.exit_code == 0, [state.record for state in outcome.states]
    return Path(job)


def test_micrographs_to_defocus_to_picks_to_particles(bench: Bench):
    files = micrographs(bench.folder)
    write_star(bench.folder / "mics.star", {"micrographs": {"rlnMicrographName": files}})
    run("ctffind", ["mics.star"], "ctf", voltage=300)
    run("topaz-pick", ["ctf/micrographs_ctf.star"], "picks", radius=16, downsample=2, device="cpu")
    run("extract", ["picks/coordinates.star"], "parts", coordinates="picks/coordinates.star", box=16,
        ctf="ctf/micrographs_ctf.star")  # fmt: skip
    rows = read_star(Path("parts/particles.star"))["particles"].columns
    assert rows["rlnDefocusU"] == ["12000.5"] * 4
    assert rows["rlnMicrographName"] == ["a.mrc"] * 2 + ["b.mrc"] * 2
    assert rows["rlnCoordinateX"][:2] == ["60", "20"]


def test_halves_to_a_network_to_denoised_to_membranes(bench: Bench):
    first = halves(bench.folder)
    write_star(bench.folder / "tomograms.star", {"global": {"rlnTomoReconstructedTomogramHalf1": first}})
    run("cryocare-train", ["tomograms.star"], "care", patch=8, device="cpu")
    run("cryocare", ["tomograms.star"], "denoised", model="care", device="cpu")
    assert read_mrc(Path("denoised/tomograms/t1.mrc"))[0].shape == (16, 24, 20)
    (bench.folder / "w.ckpt").write_bytes(b"PK")
    run("membrain-seg", ["denoised/cryocare.star"], "membranes", weights="w.ckpt", device="cpu")
    assert sorted(path.name for path in Path("membranes/segmentations").iterdir()) == ["t1.mrc", "t2.mrc"]


def test_resuming_does_what_is_missing_and_a_new_model_makes_it_out_of_date(bench: Bench):
    files = halves(bench.folder)
    bench.mode("segv")
    options = {"model": "care.tar.gz", "device": "cpu"}
    outcome = run_here(Job(Path("job").absolute()), prepare("cryocare", files, "job", options).request)
    assert outcome.counts["error"] == 2
    bench.mode("ok")
    run("cryocare", files, "job", **options)
    calls = len(bench.calls)
    run("cryocare", files, "job", **options)
    assert len(bench.calls) == calls  # nothing was missing


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.fixed_dictionaries(
        {
            "pixel_size": st.floats(0.2, 8).map(lambda value: round(value, 4)),
            "dose": st.floats(0.01, 5).map(lambda value: round(value, 3)),
            "bfactor": st.tuples(st.integers(1, 900).map(float), st.integers(1, 900).map(float)),
            "tolerance": st.sampled_from([0.01, 0.1, 0.5]),
            "patches": st.sampled_from([(0, 0), (5, 5), (7, 3)]),
            "bin": st.sampled_from([1.0, 1.5, 2.0]),
            "even_odd": st.booleans(),
            "phase_only": st.booleans(),
            "gain_rotate": st.sampled_from([0, 90, 180, 270]),
            "gain_flip": st.sampled_from(["none", "ud", "lr"]),
        }
    )
)
def test_what_is_asked_of_motioncor3_is_what_its_parser_reads(bench: Bench, values: dict[str, Any]):
    movie(bench.folder)
    described = get_operation("motioncor3")
    params = described.Parameters(voltage=300, **values)
    task = Task(
        shipped()["motioncor3"], params, bench.context(), [bench.item("m_001.mrc")], bench.folder, Start(), ["0"]
    )
    task.inputs = ["in.mrc"]
    if (bench.folder / "aln").is_dir():
        (bench.folder / "aln").rmdir()
    (words,) = described.adapter.steps(task)  # type: ignore[attr-defined]
    found = czii.parse(words[1:], czii.MOTIONCOR3, commas=True)
    assert float(found["PixSize"][0]) == values["pixel_size"]
    assert float(found["FmDose"][0]) == values["dose"]
    assert tuple(map(float, found["Bft"])) == values["bfactor"]
    assert tuple(map(int, found["Patch"]))[:2] == values["patches"]
    assert float(found["FtBin"][0]) == values["bin"]
    assert found.get("SplitSum", ["0"]) == [str(int(values["even_odd"]))]
    assert found.get("PhaseOnly", ["0"]) == [str(int(values["phase_only"]))]
    assert int(found["RotGain"][0]) * 90 == values["gain_rotate"]
    assert ["none", "ud", "lr"][int(found["FlipGain"][0])] == values["gain_flip"]


@pytest.mark.parametrize(
    ("operation", "extra", "words"),
    [
        ("motioncor3", "-Crop 100", "takes 2 values, not 1"),
        ("motioncor3", "-GpuMemUsage 0,5", "wants numbers"),
        ("motioncor3", "-Gpu 1", "written by pypcore itself"),
        ("motioncor3", "-LogFile x", "has no -LogFile"),
        ("motioncor3", "-Bft=100", "write '-Bft 100'"),
        ("aretomo2", "-TiltRange -60 60", "has no -TiltRange"),
        ("aretomo3", "-Throw 1.5", "whole number"),
        ("isonet", "--output_dir x", "set for you"),
        ("pytom-match", "-g 0,1", "written by pypcore itself"),
    ],
)
def test_what_is_passed_through_is_checked(bench: Bench, operation: str, extra: str, words: str):
    needed = {"pixel_size": 1, "tilt_axis": 85, "model": "x", "template": "x", "diameter": 9, "voxel_size": 9}
    known = {option.name for option in shipped()[operation].options}
    options = {name: value for name, value in needed.items() if name in known}
    with pytest.raises(ValueError, match=words.replace("(", ".")):
        get_operation(operation).Parameters(**options, extra=extra)
