"""A nextPYP project file: what of it is taken, turned, asked for, and listed as not taken."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from pypcore.errors import InputError, UsageError
from pypcore.exchange.convert import import_files
from pypcore.exchange.nextpyp import import_pyp_config
from pypcore.formats.gain import read_turned
from pypcore.formats.mrc import write_mrc
from pypcore.options import prepare
from pypcore.request import Request, read_config

SPR = """
data_mode = "spr"
data_path = "raw/*.tif"
scope_pixel = 0.675
scope_voltage = 300.0
scope_cs = 2.7
scope_wgh = 0.07
scope_dose_rate = 1.25
scope_init_dose = 0.5
movie_ali = "motioncor"
movie_first = 2
movie_last = 38
movie_weights = true
movie_depth = true
movie_eer_frames = 1
movie_motioncor_patch_x = 5
movie_motioncor_patch_y = 4
movie_motioncor_tol = 0.1
ctf_max_res = 3.5
detect_method = "none"
slurm_launch_walltime = "2:00:00"
slurm_tasks = 7
slurm_memory_per_task = 4
slurm_walltime = "1-00:00:00"
slurm_bundle_size = 10
slurm_max_cpus = 21
slurm_gres = "gpu:1"
slurm_merge_tasks = 6
slurm_merge_memory = 24
slurm_queue = "common"
slurm_zombie = 600
"""


def taken(text: str, folder: Path, operation: str = "motioncorr") -> tuple[Request, dict[str, str]]:
    (folder / ".pyp_config.toml").write_text(text)
    result = import_pyp_config(folder / ".pyp_config.toml", folder, force=True)
    assert read_config(folder / "pypcore.toml")
    return prepare(operation, ["raw"], "job", {}, config=folder / "pypcore.toml").request, result.not_mapped


def test_resources_microscope_and_movies_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    request, not_mapped = taken(SPR, tmp_path)
    assert request.resources.split.gres == ()
    assert not_mapped["slurm_gres"].startswith("gpu:1: an operation that needs a GPU asks for it itself")
    split, merge = request.resources.split, request.resources.merge
    # nextPYP's own example: 21 threads in all, 7 a task.
    assert (split.threads, split.total_threads, split.bundle_size, split.memory) == (7, 21, 10, 4096)
    assert (split.walltime, request.resources.launch.walltime) == (86400, 7200)
    assert (merge.threads, merge.memory) == (6, 4096)  # 24 GB of the old form, six threads
    assert request.resources.placement.partition == "common"
    wanted = {"pixel_size": 0.675, "voltage": 300.0, "cs": 2.7, "amplitude_contrast": 0.07, "dose": 1.25,
              "pre_dose": 0.5, "first": 3, "last": 38, "dose_weighting": True, "float16": True,
              "patches": [5, 4]}  # fmt: skip
    assert {key: request.parameters[key] for key in wanted} == wanted
    assert "pypcore run ctffind" in not_mapped["ctf_max_res"]
    assert "motioncor3" in not_mapped["movie_motioncor_tol"]
    assert {"slurm_zombie", "detect_method"} <= set(not_mapped)
    assert "# Not mapped:" in (tmp_path / "pypcore.toml").read_text()


@pytest.mark.parametrize(("turns", "across", "down"), list(itertools.product(range(4), (False, True), (False, True))))
def test_the_gain_lies_as_it_lay(tmp_path: Path, monkeypatch, turns: int, across: bool, down: bool) -> None:
    """nextPYP flips the array, then turns it by rot90; ours is turned first: the pixels must be the same."""
    monkeypatch.chdir(tmp_path)
    gain = np.random.default_rng(turns).uniform(0.5, 2, (4, 6)).astype(np.float32)
    write_mrc(tmp_path / "gain.mrc", gain, 1.0)
    theirs = np.fliplr(gain) if across else gain
    theirs = np.rot90(np.flipud(theirs) if down else theirs, turns)
    text = SPR + (
        f'gain_reference = "gain.mrc"\ngain_rotation = {turns}\n'
        f"gain_fliph = {str(across).lower()}\ngain_flipv = {str(down).lower()}\n"
    )
    request, not_mapped = taken(text, tmp_path)
    given = request.parameters
    np.testing.assert_array_equal(read_turned(Path(given["gain"]), given["gain_rotate"], given["gain_flip"]), theirs)
    assert not [key for key in not_mapped if key.startswith("gain")]


def test_a_tomography_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = """
data_mode = "tomo"
data_path = "/data/frames/*.tif"
data_path_mdoc = "/data/mdocs/*.mdoc"
scope_pixel = 1.35
scope_voltage = 300
scope_dose_rate = 3.1
scope_tilt_axis = 85.3
tomo_rec_thickness = 2048
tomo_rec_binning = 8
movie_eer_reduce = 2
movie_eer_frames = 20
slurm_tasks = 4
"""
    request, _ = taken(text, tmp_path, "tomogram")
    wanted = {"pixel_size": 1.35, "dose": 3.1, "thickness": 2048, "bin": 8.0, "eer_sampling": 2, "eer_group": 20,
              "frames": "/data/frames", "tilt_axis": None}  # fmt: skip
    assert {key: request.parameters[key] for key in wanted} == wanted
    result = import_pyp_config(tmp_path / ".pyp_config.toml", tmp_path, force=True)
    assert "tomogram '/data/mdocs/*.mdoc' -o tomograms" in result.command
    # Their help and their tutorials mean two different axes: it is asked for, not guessed.
    assert any("85.3 (as in mdocs) or -4.7" in note for note in result.notes)


def test_what_is_none_of_nextpyp_s_is_refused_and_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = 1\n")
    with pytest.raises(InputError, match="none of nextPYP's parameters"):
        import_files([tmp_path / "a.toml"], tmp_path, root=tmp_path)
    (tmp_path / "b.toml").write_text("scope_pixel = ")
    with pytest.raises(InputError, match="not TOML"):
        import_files([tmp_path / "b.toml"], tmp_path, root=tmp_path)
    (tmp_path / "c.toml").write_text("scope_pixel = 1.1\nslurm_walltime = 'soon'\n")
    with pytest.raises(InputError, match="walltime 'soon' is not a time"):
        import_files([tmp_path / "c.toml"], tmp_path, root=tmp_path)
    assert not (tmp_path / "pypcore.toml").exists()
    (tmp_path / "d.toml").write_text("scope_pixel = 1.1\n")
    import_files([tmp_path / "d.toml"], tmp_path, root=tmp_path)
    with pytest.raises(UsageError, match="is there already; give --force"):
        import_files([tmp_path / "d.toml"], tmp_path, root=tmp_path)
