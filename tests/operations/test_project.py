"""``project``: what it makes, ``reconstruct`` takes back to the map."""

from pathlib import Path

import numpy as np
import pytest

import pypcore
from pypcore.errors import UsageError
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.operations.particle_items import read_images, read_table
from pypcore.postprocess.fsc import measure
from pypcore.simulate import particles as simulated

BOX, PIXEL, COUNT = 24, 6.0, 60


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A map, and a STAR file with poses whose images nobody has."""
    monkeypatch.chdir(tmp_path)
    molecule = simulated.chain(count=150, radius=50, sigma=4.0)
    write_mrc(tmp_path / "map.mrc", simulated.density(molecule, BOX, PIXEL), PIXEL, volume=True)
    known = simulated.random_particles(COUNT, 3)
    images = simulated.images(molecule, known, BOX, PIXEL)
    np.save(tmp_path / "images.npy", images)
    simulated.write_particles(tmp_path, list(images.reshape(3, COUNT // 3, BOX, BOX)), known, PIXEL)
    for path in (tmp_path / "particles").iterdir():
        path.unlink()
    return tmp_path


def test_projections_are_the_images_and_go_back_to_the_map(there: Path) -> None:
    job = pypcore.run("project", "particles.star", "projected", map="map.mrc", memory=1)
    assert job.phase == "done"
    made, pixel_size = read_mrc(there / "projected/projections/mic0002.mrcs")
    assert pixel_size == pytest.approx(PIXEL)
    true = np.load(there / "images.npy")[20:40]
    for one, other in zip(made, true, strict=True):
        assert np.corrcoef(one.reshape(-1), other.reshape(-1))[0, 1] > 0.995
    table, rows = read_table(there / "projected/projections.star", there, None), np.arange(COUNT)  # as reconstruct does
    given, images = table.particles, read_images(table, rows)
    volume = pypcore.backproject(
        images, given.poses(rows), given.ctf(rows), pixel_size=PIXEL, optics=given.optics, group=given.group[rows]
    )
    truth = read_mrc(there / "map.mrc")[0]
    assert measure(volume, truth, PIXEL).unmasked[1:8].min() > 0.9


def test_bad_maps_are_one_line(there: Path) -> None:
    with pytest.raises(UsageError, match=r"particles\.star: .*|not a map|not MRC"):
        pypcore.run("project", "particles.star", "projected", map="particles.star")
    write_mrc(there / "flat.mrc", np.zeros((BOX, BOX), np.float32), PIXEL)
    with pytest.raises(UsageError, match=r"flat\.mrc: not a map"):
        pypcore.run("project", "particles.star", "projected", map="flat.mrc")
