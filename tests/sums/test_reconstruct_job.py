"""Jobs of ``reconstruct``: what comes out is right, whatever dies in between, and bad input costs only itself."""

import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import pypcore
from pypcore.errors import UsageError
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.job import Job
from pypcore.launch import launch
from pypcore.local import Consent, Outcome
from pypcore.options import prepare
from pypcore.postprocess.fsc import measure
from pypcore.status import read_status

MOMENTS = int(os.environ.get("PYPCORE_MOMENTS", "1"))  # each has two deaths: of a worker, of its pool
Run = Callable[..., Outcome]
SumUp = Callable[..., Any]
BOX, PIXEL, MICROGRAPHS, EACH = 32, 5.0, 12, 10
PRODUCTS = ("half1.mrc", "half2.mrc", "map.mrc", "mask.mrc", "fsc.star", "fsc.csv", "views.csv", "reconstruction.png")


def contents(job: Path) -> dict[str, bytes]:
    """Return the bytes of a job's products and partials."""
    found = {name: (job / name).read_bytes() for name in PRODUCTS if (job / name).exists()}
    return found | {path.name: path.read_bytes() for path in sorted((job / "partials").glob("*.partial"))}


def read(path: Path) -> np.ndarray:
    return read_mrc(path)[0]


def outcomes(folder: Path) -> dict[str, str]:
    return {row["name"]: row["outcome"] for row in read_status(Job.open(folder / "job")).table()}


def messages(folder: Path) -> list[str]:
    return [state.record["message"] for _, state in read_status(Job.open(folder / "job")).bad()]


# -- what comes out


def test_the_map_is_the_truth_and_the_products_are_there(finished: Job, folder: Path) -> None:
    truth = np.load(folder / "truth.npy")
    volume, pixel_size = read_mrc(folder / "job/map.mrc")
    assert pixel_size == pytest.approx(PIXEL)
    assert volume.shape == (BOX, BOX, BOX)
    agreement = measure(volume, truth, PIXEL).unmasked
    assert agreement[1:9].min() > 0.8  # 120 particles, unmasked
    assert agreement[2:6].min() > 0.95
    mirrored = measure(volume[::-1], truth, PIXEL).unmasked
    assert mirrored[4:9].max() < 0.8
    merged = read_status(finished).merge
    assert merged is not None
    assert merged["figures"]["particles"] == MICROGRAPHS * EACH
    assert merged["figures"]["particles_half1"] == 60
    half1, half2 = read(folder / "job/half1.mrc"), read(folder / "job/half2.mrc")
    between = measure(half1, half2, PIXEL)
    rows = (folder / "job/fsc.csv").read_text().splitlines()
    assert rows[0].startswith("shell,frequency_per_angstrom,unmasked,masked,phase_randomised,corrected")
    assert float(rows[4].split(",")[2]) == pytest.approx(between.unmasked[3], abs=1e-5)
    views = (folder / "job/views.csv").read_text().splitlines()[1:]
    assert sum(int(row.split(",")[-1]) for row in views) == MICROGRAPHS * EACH
    import mrcfile

    assert mrcfile.validate(folder / "job/half1.mrc")
    with mrcfile.open(folder / "job/half1.mrc") as file:
        assert file.is_volume()
        assert b"half map 1" in file.header.label[0]
        assert float(file.header.origin.x) == 0


def test_another_bundle_size_regroups_sums_and_no_more(
    sum_up: SumUp, folder: Path, undisturbed: dict[str, bytes]
) -> None:
    for bundle in (1, 12):
        sum_up(f"in{bundle}", bundle_size=bundle)
        assert len(list((folder / f"in{bundle}/partials").iterdir())) == -(-MICROGRAPHS // bundle)
    for name in ("half1.mrc", "half2.mrc", "map.mrc"):
        (folder / "in5.mrc").write_bytes(undisturbed[name])
        whole = read(folder / "in12" / name)
        for other in (read(folder / "in1" / name), read(folder / "in5.mrc")):
            assert np.linalg.norm(whole - other) < 1e-5 * np.linalg.norm(whole)
            assert measure(whole, other, PIXEL).unmasked.min() > 0.99999


def test_from_python_the_same_map(reconstruct: Run, folder: Path) -> None:
    job = pypcore.run(
        "reconstruct",
        "particles.star",
        "job",
        symmetry="C2",
        memory=1,
        padding=2,
        ewald="+1",
        diameter=110,
        iterations=2,
    )
    assert job.phase == "done"
    volume = read(job.products()["map"])
    turned = np.roll(volume[:, ::-1, ::-1], (1, 1), (1, 2))  # by 180 degrees about z
    assert np.corrcoef(volume[1:, 1:, 1:].reshape(-1), turned[1:, 1:, 1:].reshape(-1))[0, 1] > 0.999


def test_dose_weighting_damps_what_was_exposed(sum_up: SumUp, finished: Job, folder: Path) -> None:
    with pytest.raises(UsageError, match="no column rlnMicrographPreExposure"):
        sum_up("weighted", dose_weighting=True)
    lines = (folder / "particles.star").read_text().splitlines()
    last = max(number for number, line in enumerate(lines) if line.startswith("_rln"))
    rows = [f"{line} 40.0" if "@" in line else line for line in lines]
    rows.insert(last + 1, "_rlnMicrographPreExposure")
    (folder / "particles.star").write_text("\n".join(rows) + "\n")
    sum_up("weighted", dose_weighting=True)
    mean = [np.loadtxt(folder / job / "fsc.csv", delimiter=",", skiprows=1)[:, -1] for job in ("job", "weighted")]
    k = np.arange(BOX // 2 + 1) / (BOX * PIXEL)
    left = np.exp(-40.0 / 2 / (0.24499 * np.maximum(k, 1e-6) ** -1.6649 + 2.8141))
    assert mean[1][4:12] / mean[0][4:12] == pytest.approx(left[4:12], rel=0.1)


def test_a_mask_a_box_and_a_pixel_size_of_the_users(sum_up: SumUp, folder: Path) -> None:
    from pypcore.postprocess.masks import sphere

    write_mrc(folder / "mask.mrc", sphere(24, 9, edge=2), PIXEL, volume=True)
    with pytest.raises(UsageError, match=r"mask has 24 x 24 x 24 voxels, the map 32 x 32 x 32"):
        sum_up(mask="mask.mrc")
    sum_up(mask="mask.mrc", box=24, pixel_size=4.0)
    volume, pixel_size = read_mrc(folder / "job/map.mrc")
    assert volume.shape == (24, 24, 24)
    assert pixel_size == pytest.approx(4.0)
    assert not (folder / "job/mask.mrc").exists()


# -- what dies


def workers_of(job: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if str(job) in process.cmdline() and "pypcore.worker" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_killed_at_random_and_resumed_the_same_bits(
    seed: int, command: Any, folder: Path, undisturbed: dict[str, bytes]
) -> None:
    rng = random.Random(seed)
    flags = ["--bundle-size=5", "--memory=1", "--checkpoint=0:01"]
    deaths = rng.sample(("worker", "pool"), 2)
    for death in (*deaths, None):
        begun = (folder / "job/job.toml").exists()
        cli = (
            command("resume", "job") if begun else command("run", "reconstruct", "particles.star", "-o", "job", *flags)
        )
        if death:
            time.sleep(rng.uniform(1.0, 2.5))
            victims = workers_of(folder / "job")[:1] if death == "worker" else []
            for process in victims or [cli]:
                process.kill()
        text, _ = cli.communicate(timeout=60)
        until = time.monotonic() + 20
        while workers_of(folder / "job"):
            assert time.monotonic() < until, "a worker outlived its pool"
            time.sleep(0.05)
    assert cli.returncode == 0, text
    assert contents(folder / "job") == undisturbed


def damage(path: Path, how: str, other: Path) -> None:
    content = bytearray(path.read_bytes())
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "corrupt":
        content[len(content) // 2] ^= 4
        path.write_bytes(content)
    else:
        path.write_bytes(other.read_bytes())


def test_bad_partials_are_named_and_their_items_done_again(
    finished: Job, resume: Run, folder: Path, undisturbed: dict[str, bytes], sum_up: SumUp
) -> None:
    sum_up("other", merge=False, symmetry="C2")
    job, path = finished, folder / "job/partials/000001.partial"
    good = path.read_bytes()
    for how, said in (
        ("missing", "has no partial|missing"),
        ("truncated", "cut off"),
        ("other parameters", "made with other parameters"),
        ("other bundle", "of another grouping"),
    ):
        source = folder / "other/partials/000001.partial" if how == "other parameters" else path.with_stem("000000")
        damage(path, how, source)
        assert read_status(job).counts["waiting"] == 5
        launched = launch(job, job.request())
        assert launched.todo == [5, 6, 7, 8, 9]
        assert re.search(said, launched.reasons[5])
        assert "000001.partial" in launched.reasons[5]
        path.write_bytes(good)
    damage(path.with_stem("000000"), "missing", path)
    damage(path, "truncated", path)
    damage(path.with_stem("000002"), "other parameters", folder / "other/partials/000002.partial")
    assert resume().exit_code == 0
    assert contents(folder / "job") == undisturbed


def test_merge_finds_a_corrupt_partial_and_puts_it_aside(
    finished: Job, resume: Run, folder: Path, undisturbed: dict[str, bytes]
) -> None:
    damage(folder / "job/partials/000002.partial", "corrupt", folder)
    (folder / "job/map.mrc").unlink()  # so that Merge runs
    outcome = resume()
    assert outcome.exit_code == 1
    assert outcome.merge is not None
    assert "partials/000002.partial: damaged (checksum) in half" in outcome.merge["message"]
    assert "pypcore resume" in outcome.merge["message"]
    assert (folder / "job/partials/000002.partial.damaged").exists()
    assert read_status(Job.open(folder / "job")).phase == "stopped"
    assert resume().exit_code == 0
    assert contents(folder / "job") == undisturbed


# -- what is asked again


def test_what_is_done_again_is_what_changed(finished: Job, reconstruct: Run, folder: Path) -> None:
    star = folder / "particles.star"
    star.write_text(star.read_text() + "\n")  # it says the same
    assert reconstruct().launched.todo == []
    lines = star.read_text().splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("000004@particles/mic0007"))
    words = lines[row].split()
    words[5] = "11.5"  # rot, tilt and psi follow the names and the optics group
    lines[row] = " ".join(words)
    star.write_text("\n".join(lines) + "\n")
    outcome = reconstruct()
    assert outcome.launched.todo == [5, 6, 7, 8, 9]
    assert outcome.exit_code == 0
    with pytest.raises(UsageError, match="bundle size 5 -> 3"):
        reconstruct(bundle_size=3)
    assert reconstruct(bundle_size=3, consent=Consent(redo=True)).exit_code == 0


def test_a_data_set_that_grows_goes_on_with_its_last_bundle(
    sum_up: SumUp, reconstruct: Run, folder: Path, undisturbed: dict[str, bytes]
) -> None:
    whole = (folder / "particles.star").read_text()
    kept = [line for line in whole.splitlines() if "mic0009" not in line and "mic001" not in line]
    (folder / "particles.star").write_text("\n".join(kept) + "\n")
    sum_up()
    (folder / "particles.star").write_text(whole)
    outcome = reconstruct()
    assert outcome.launched.todo == [8, 9, 10, 11]
    assert contents(folder / "job") == undisturbed


def test_much_partial_io_is_told_beforehand(reconstruct: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pypcore import sums

    monkeypatch.setattr(sums, "TOO_MUCH", 3_000_000)
    request = prepare("reconstruct", ["particles.star"], "job", {"bundle_size": 1}).request
    launched = launch(Job(folder / "job"), request)
    assert "12 of them" in launched.advice
    better = int(re.search(r"--bundle-size (\d+)", launched.advice)[1])
    size = (launched.disk) / 12
    assert size * -(-12 // better) <= 3_000_000 < size * 12
    request = prepare("reconstruct", ["particles.star"], "job", {"bundle_size": better}).request
    assert launch(Job(folder / "job"), request).advice == ""


# -- bad input


def edit(folder: Path, old: str, new: str) -> None:
    star = folder / "particles.star"
    text = star.read_text()
    assert old in text
    star.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("_rlnImagePixelSize", "_rlnSomething", r"no column rlnImagePixelSize; .* give --pixel-size, in Å"),
        ("_rlnAngleTilt", "_rlnSomething", r"data_particles has no column rlnAngleTilt; poses are needed"),
        ("_rlnDefocusU", "_rlnSomething", r"no column rlnDefocusU; give --no-ctf"),
        ("000001@particles/mic0001.mrcs", "particles/mic0001.mrcs", r"must be like 000001@stack.mrcs"),
        ("data_particles", "data_micrographs", None),
    ],
)
def test_a_bad_table_is_one_line(old: str, new: str, said: str | None, reconstruct: Run, folder: Path) -> None:
    edit(folder, old, new)
    if said is None:  # whatever the block is called
        request = prepare("reconstruct", ["particles.star"], "job", {}).request
        assert len(launch(Job(folder / "job"), request).items) == MICROGRAPHS
        return
    with pytest.raises(UsageError, match=said) as caught:
        reconstruct()
    assert "\n" not in str(caught.value)
    assert not (folder / "job").exists()


@pytest.mark.parametrize(
    ("symmetry", "said"), [("Q5", "none of Cn, Dn, T, O, I"), ("H", "helical symmetry is not supported")]
)
def test_an_unknown_symmetry_is_one_line(symmetry: str, said: str, reconstruct: Run, folder: Path) -> None:
    with pytest.raises(UsageError, match=said):
        reconstruct(symmetry=symmetry)
    assert not (folder / "job").exists()


def test_an_empty_half_is_one_line(sum_up: SumUp, folder: Path) -> None:
    star = folder / "particles.star"
    rows = [re.sub(r" 2 *$", " 1", line) if "@" in line else line for line in star.read_text().splitlines()]
    star.write_text("\n".join(rows) + "\n")
    with pytest.raises(UsageError, match=r"half set 2 is empty \(by rlnRandomSubset\)"):
        sum_up()
    edit(folder, "_rlnRandomSubset", "_rlnSomething")
    merged = sum_up()
    assert 40 < merged["figures"]["particles_half1"] < 80


def test_bad_stacks_cost_only_themselves(
    reconstruct: Run, resume: Run, folder: Path, undisturbed: dict[str, bytes]
) -> None:
    stacks = folder / "particles"
    good = {path.name: path.read_bytes() for path in stacks.iterdir()}
    images = read(stacks / "mic0002.mrcs").copy()
    spoiled = bytearray(good["mic0002.mrcs"])
    at = 1024 + (3 * BOX * BOX + 5 * BOX + 5) * 4
    spoiled[at : at + 4] = np.float32(np.nan).tobytes()
    (stacks / "mic0002.mrcs").write_bytes(spoiled)
    write_mrc(stacks / "mic0004.mrcs", images[:, :24, :24].copy(), PIXEL)
    (stacks / "mic0006.mrcs").unlink()
    write_mrc(stacks / "mic0008.mrcs", images[:6], PIXEL)
    (stacks / "mic0010.mrcs").write_bytes(good["mic0010.mrcs"][:-100])
    assert reconstruct().exit_code == 1
    found = outcomes(folder)
    bad = {f"mic{number:04d}" for number in (2, 4, 6, 8, 10)}
    assert {name for name, outcome in found.items() if outcome == "failed"} == bad
    assert {name for name, outcome in found.items() if outcome == "done"} == found.keys() - bad
    said = "\n".join(messages(folder))
    assert "mic0002.mrcs: image 4 has pixels that are not finite" in said
    assert "mic0004.mrcs: images of 24 x 24 pixels" in said
    assert "mic0006.mrcs: can't be opened (No such file or directory)" in said
    assert "mic0008.mrcs: image 7 is asked for; it has 6" in said
    assert "mic0010.mrcs: cut off: it holds 9 of 10 images" in said
    merged = read_status(Job.open(folder / "job")).merge
    assert merged is not None
    assert merged["figures"]["particles"] == 70
    for name, content in good.items():
        (stacks / name).write_bytes(content)
    assert resume().exit_code == 0
    assert contents(folder / "job")["half1.mrc"] == undisturbed["half1.mrc"]


def test_checkpoints_are_given_as_times(folder: Path) -> None:
    def seconds(given: str | None) -> int:
        return prepare("reconstruct", ["particles.star"], "job", {"checkpoint": given}).request.policy.checkpoint

    assert [seconds(given) for given in (None, "0", "0:30", "5")] == [600, 0, 30, 300]
    with pytest.raises(UsageError, match="is not a time"):
        seconds("soon")
