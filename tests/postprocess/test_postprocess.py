"""Resolution and sharpening, against what is known: noise of a known spectrum, RELION's program on the same maps."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pypcore.errors import InputError, UsageError
from pypcore.formats.mrc import read_mrc, write_mrc
from pypcore.formats.star import read_star
from pypcore.postprocess import sharpen
from pypcore.postprocess.fsc import Fsc, measure, shells
from pypcore.postprocess.masks import automatic, sphere
from pypcore.postprocess.run import Settings, run

BOX, PIXEL = 48, 2.0


@pytest.fixture(scope="module")
def halves() -> tuple[np.ndarray, np.ndarray]:
    """Two maps of one thing with noise that grows towards high frequencies."""
    rng = np.random.default_rng(5)
    thing = (0.7 + gaussian_filter(rng.normal(size=(BOX,) * 3), 1.2) * 6) * sphere(BOX, 11, edge=3)
    noise = [rng.normal(size=(BOX,) * 3) * 0.25 for _ in range(2)]
    return (thing + noise[0]).astype(np.float32), (thing + noise[1]).astype(np.float32)


@pytest.fixture
def files(halves: tuple[np.ndarray, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, half in zip(("half1.mrc", "half2.mrc"), halves, strict=True):
        write_mrc(tmp_path / name, half, PIXEL, volume=True)
    return tmp_path


def process(**settings: object) -> dict[str, object]:
    return run(Path("half1.mrc"), Path("half2.mrc"), Path("out"), Settings(**settings)).figures  # type: ignore[arg-type]


def test_fsc_of_white_noise_with_a_common_part_is_its_share(halves: object) -> None:
    rng = np.random.default_rng(1)
    common, one, other = rng.normal(size=(3, BOX, BOX, BOX))
    fsc = measure((common + one).astype(np.float32), (common + other).astype(np.float32), PIXEL)
    assert fsc.unmasked[4:].mean() == pytest.approx(0.5, abs=0.02)
    assert fsc.unmasked[0] == 1
    assert len(fsc.unmasked) == BOX // 2 + 1
    assert fsc.resolution() == 2 * PIXEL  # it never falls so far


def test_correlation_that_only_a_mask_makes_is_taken_out() -> None:
    rng = np.random.default_rng(2)
    common = gaussian_filter(rng.normal(size=(BOX,) * 3), 2.5) * 20
    one, other = ((common + rng.normal(size=(BOX,) * 3)).astype(np.float32) for _ in range(2))
    mask = sphere(BOX, 5, edge=1)
    fsc = measure(one, other, PIXEL, mask)
    assert fsc.random_from is not None
    high = slice(fsc.random_from + 5, None)
    assert np.abs(fsc.corrected[high]).mean() < 0.2
    assert np.array_equal(fsc.corrected[: fsc.random_from + 2], fsc.masked[: fsc.random_from + 2])
    again = measure(one, other, PIXEL, mask)
    assert np.array_equal(fsc.randomised, again.randomised)


def test_shells_count_every_voxel_once() -> None:
    from pypcore.postprocess.fsc import radial_sum

    count = radial_sum(np.ones((BOX, BOX, BOX // 2 + 1), np.float32), shells(BOX), BOX)
    k = np.fft.fftfreq(BOX, 1 / BOX)
    radius = np.rint(np.sqrt(k[:, None, None] ** 2 + k[None, :, None] ** 2 + k**2))
    assert np.array_equal(count, np.bincount(radius.astype(int).reshape(-1))[: BOX // 2 + 1])


def test_the_resolution_is_read_between_shells() -> None:
    curve = np.array([1.0, 1.0, 0.9, 0.243, 0.043, 0.0])
    fsc = Fsc(10, 2.0, curve, curve, curve, curve, None)
    assert fsc.resolution() == pytest.approx(20 / 3.5)


def test_an_automatic_mask_holds_the_particle_and_little_else(halves: tuple[np.ndarray, np.ndarray]) -> None:
    mask = automatic((halves[0] + halves[1]) / 2, PIXEL)
    inside, outside = sphere(BOX, 9, edge=0) > 0, sphere(BOX, 20, edge=0) == 0
    assert mask[inside].mean() > 0.95
    assert mask[outside].mean() < 0.02
    assert mask.min() == 0
    assert mask.max() == 1


def test_nothing_but_noise_gets_a_sphere() -> None:
    mask = automatic(np.zeros((BOX,) * 3, np.float32), PIXEL)
    assert mask[BOX // 2, BOX // 2, BOX // 2] == 1
    assert mask[0, 0, 0] == 0


def test_the_b_factor_of_a_known_fall_is_found_and_undone() -> None:
    rng = np.random.default_rng(3)
    white = rng.normal(size=(BOX,) * 3).astype(np.float32)
    k2 = np.fft.fftfreq(BOX, PIXEL) ** 2
    squared = k2[:, None, None] + k2[None, :, None] + np.fft.rfftfreq(BOX, PIXEL) ** 2
    damped = np.fft.irfftn(np.fft.rfftn(white) * np.exp(-60 / 4 * squared)).astype(np.float32)
    ones = np.ones(BOX // 2 + 1)
    fsc = Fsc(BOX, PIXEL, ones, ones, ones, ones, None)
    found = sharpen.guinier(damped, fsc, None, low=20)
    assert found.b_factor == pytest.approx(-60, abs=2)
    assert found.correlation < -0.98
    restored = sharpen.sharpened(damped, fsc, -60, lowpass=2 * PIXEL)
    assert measure(restored, white, PIXEL).unmasked[1:-1].min() > 0.999
    power = np.abs(np.fft.rfftn(restored)) / np.maximum(np.abs(np.fft.rfftn(white)), 1e-9)
    assert np.median(power[shells(BOX) == 12]) == pytest.approx(1, abs=0.005)  # a curve by shell, not by voxel


def test_the_mtf_is_divided_out(files: Path) -> None:
    (files / "mtf.star").write_text(
        "data_mtf\n\nloop_\n_rlnResolutionInversePixel\n_rlnMtfValue\n0 1.0\n0.25 0.5\n0.5 0.25\n"
    )
    process(b_factor=0.0, weighting=False)
    plain = read_mrc(files / "out/postprocess.mrc")[0]
    run(
        Path("half1.mrc"), Path("half2.mrc"), Path("mtf"), Settings(b_factor=0.0, weighting=False, mtf=Path("mtf.star"))
    )
    divided = read_mrc(files / "mtf/postprocess.mrc")[0]
    ratio = np.abs(np.fft.rfftn(divided)) / np.abs(np.fft.rfftn(plain))
    assert np.median(ratio[shells(BOX) == 12]) == pytest.approx(2, rel=1e-3)  # a quarter of 1/pixel
    (files / "bad.star").write_text("data_mtf\n\nloop_\n_rlnFoo\n1\n")
    settings = Settings(b_factor=0.0, mtf=Path("bad.star"), mask="none")
    with pytest.raises(InputError, match="no table with rlnResolutionInversePixel"):
        run(Path("half1.mrc"), Path("half2.mrc"), Path("other"), settings)


def test_products_and_tables(files: Path) -> None:
    figures = process(fit_from=30.0)
    assert 4 < figures["resolution"] < 12
    blocks = read_star(files / "out/postprocess.star")
    assert float(blocks["general"].pairs["rlnFinalResolution"]) == pytest.approx(figures["resolution"], abs=1e-3)
    assert len(blocks["fsc"].columns["rlnSpectralIndex"]) == BOX // 2 + 1
    assert "rlnLogAmplitudesWeighted" in blocks["guinier"].columns
    with pytest.raises(UsageError, match=r"has postprocess\.mrc already"):
        process()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mask": "nowhere.mrc"}, "nowhere.mrc: can't be opened"),
        ({"radius": 30.0}, "give --mask sphere too"),
        ({"fit_from": 5.0, "fit_to": 8.0}, "no finer than"),
        ({"fit_from": 4.2}, "too few for a B-factor"),
        ({"edge": -1.0}, "must not be below 0"),
    ],
)
def test_bad_settings_are_one_line(settings: dict[str, object], said: str, files: Path) -> None:
    with pytest.raises((InputError, UsageError), match=said):
        process(**settings)
    assert not list(files.glob("out/*"))


def test_halves_that_are_none_are_one_line(files: Path, halves: tuple[np.ndarray, np.ndarray]) -> None:
    shutil.copy(files / "half1.mrc", files / "half2.mrc")
    with pytest.raises(InputError, match="is the same map"):
        process()
    write_mrc(files / "half2.mrc", halves[1][:40, :40, :40].copy(), PIXEL, volume=True)
    with pytest.raises(InputError, match=r"box 40, that of half1\.mrc is 48"):
        process()
    write_mrc(files / "half2.mrc", halves[1], 2.5, volume=True)
    with pytest.raises(InputError, match=r"2\.5 Å a voxel, half1\.mrc has 2"):
        process()


@pytest.mark.relion
def test_relion_finds_the_same_under_the_same_mask(files: Path) -> None:
    write_mrc(files / "mask.mrc", sphere(BOX, 14, edge=5), PIXEL, volume=True)
    figures = process(mask="mask.mrc", b_factor=-50.0)
    subprocess.run(
        ["relion_postprocess", "--i", "half1.mrc", "--i2", "half2.mrc", "--mask", "mask.mrc", "--o", "relion",
         "--angpix", str(PIXEL), "--adhoc_bfac", "-50"],
        check=False, capture_output=True,  # without Ghostscript it fails at its very end
    )  # fmt: skip
    ours, theirs = read_star(files / "out/postprocess.star"), read_star(files / "relion.star")
    for name in ("rlnFourierShellCorrelationUnmaskedMaps", "rlnFourierShellCorrelationMaskedMaps"):
        one, other = (np.array(blocks["fsc"].columns[name], float) for blocks in (ours, theirs))
        assert np.abs(one - other)[1:-1].max() < 0.01  # RELION counts half of each pair, and both on the plane x = 0
    one, other = (
        np.array(blocks["fsc"].columns["rlnFourierShellCorrelationCorrected"], float) for blocks in (ours, theirs)
    )
    assert np.abs(one - other)[1:-1].mean() < 0.03  # phases are random
    assert float(theirs["general"].pairs["rlnFinalResolution"]) == pytest.approx(figures["resolution"], rel=0.08)
    mine, relions = read_mrc(files / "out/postprocess.mrc")[0], read_mrc(files / "relion.mrc")[0]
    both = measure(mine, relions, PIXEL).unmasked
    limit = int(BOX * PIXEL / figures["resolution"])
    assert both[1:limit].min() > 0.999
