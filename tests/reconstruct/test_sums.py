"""Sums: the same bits however many threads; parts add up to the whole; bad arguments are said."""

import numpy as np
import pytest

from pypcore.reconstruct.accumulator import Accumulator, memory_needed, slabs
from pypcore.reconstruct.finish import fold
from pypcore.reconstruct.particles import Ctf, Optics, Poses
from pypcore.reconstruct.symmetry import is_group, point_group
from pypcore.reconstruct.transfer import even_order, odd_order, zernike

PIXEL = 256 / 48  # as in conftest


def added(case, *, threads=1, parts=(slice(None),)):
    sums = Accumulator(48, PIXEL, threads=threads)
    half = 1 + np.arange(len(case.images)) % 2
    for part in parts:
        sums.add(case.images[part], case.poses[part], case.ctf[part], Optics(PIXEL), half[part])
    return sums


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_change_no_bit(case, threads):
    assert added(case, threads=threads).sums.tobytes() == added(case).sums.tobytes()


def test_calls_in_the_same_order_change_no_bit_and_merged_parts_are_the_whole(case):
    parts = [slice(0, 8), slice(8, 200), slice(200, None)]
    whole = added(case)
    assert added(case, parts=parts).sums.tobytes() == whole.sums.tobytes()
    merged = added(case, parts=parts[:1])
    merged.merge(added(case, parts=parts[1:2]))
    last = added(case, parts=parts[2:])
    merged.add_packed(last.packed_planes(), last.particles, last.weights)
    assert np.allclose(merged.sums, whole.sums, rtol=0, atol=1e-6 * np.abs(whole.sums).max())
    assert merged.particles.tolist() == whole.particles.tolist() == [250, 250]


def test_one_plain_image_along_z_is_its_own_slice():
    image = np.random.default_rng(0).normal(size=(1, 16, 16)).astype(np.float32)
    sums = Accumulator(16, 1.0)
    sums.add(image, Poses(0, 0, 0), None, Optics(1.0), 1)
    cells = sums.sums[0]
    fold(cells)
    expected = np.fft.fft2(np.fft.ifftshift(image[0]))
    middle = len(cells) // 2
    for y, x in ((2, 3), (-4, 5), (6, 0)):
        value = cells[middle, middle + y, x]
        assert value[0] + 1j * value[1] == pytest.approx(expected[y, x], rel=1e-4)
    assert cells[middle, middle + 2, 3, 2] == pytest.approx(1)


def test_slabs_cover_all_planes_once():
    for radius in (4, 32, 128):
        for count in (1, 2, 5, 64):
            parts = slabs(radius, count)
            assert [plane for first, beyond in parts for plane in range(first, beyond)] == list(range(radius + 2))


def test_memory_is_what_the_sums_and_spectra_take():
    sums = Accumulator(64, 1.0)
    assert sums.sums.nbytes < memory_needed(64) < sums.sums.nbytes + 40e6
    assert memory_needed(256) < 0.4e9


@pytest.mark.parametrize("name", ["C1", "C7", "D7", "T", "O", "I", "I1", "I2", "I3", "I4", "d2"])
def test_rotations_form_a_group(name):
    orders = {"C1": 1, "C7": 7, "D7": 14, "T": 12, "O": 24, "d2": 4}
    rotations = point_group(name)
    assert len(rotations) == orders.get(name, 60)
    assert is_group(rotations)
    assert np.allclose(rotations[0], np.eye(3))


@pytest.mark.parametrize(
    ("name", "says"), [("H1", "helical"), ("C0", "at least 1"), ("X", "none of"), ("D3H", "mirror")]
)
def test_other_symmetries_are_refused(name, says):
    with pytest.raises(ValueError, match=says):
        point_group(name)


def test_aberrations_are_numbered_as_relion_numbers_them():
    assert [even_order(n) for n in range(9)] == [
        (0, 0),
        (-2, 2),
        (0, 2),
        (2, 2),
        (-4, 4),
        (-2, 4),
        (0, 4),
        (2, 4),
        (4, 4),
    ]
    assert [odd_order(n) for n in range(6)] == [(-1, 1), (1, 1), (-3, 3), (-1, 3), (1, 3), (3, 3)]
    x, y = np.array([0.3]), np.array([-0.2])
    assert zernike(1, 3, x, y) == pytest.approx((3 * (x * x + y * y) - 2) * x)
    assert zernike(-2, 2, x, y) == pytest.approx(2 * x * y)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"half": 3}, "it is 1 or 2"),
        ({"group": 1}, "with 1 optics"),
        ({"weight": -1.0}, "at least 0"),
        ({"poses": Poses(np.zeros(3), 0, 0)}, "3 poses for 2 images"),
        ({"images": np.zeros((2, 16, 18), np.float32)}, "even side"),
    ],
)
def test_bad_arguments_are_said(change, says):
    given = {"images": np.zeros((2, 16, 16), np.float32), "poses": Poses(np.zeros(2), 0, 0), "ctf": None}
    with pytest.raises(ValueError, match=says):
        Accumulator(16, 1.0).add(**{**given, "optics": Optics(1.0), "half": 1, **change})


def test_a_pose_that_is_no_number_names_its_particle():
    with pytest.raises(ValueError, match=r"Poses\.tilt of particle 1"):
        Poses(np.zeros(3), np.array([0, np.nan, 0]), 0)
    with pytest.raises(ValueError, match="one value a particle"):
        Ctf(np.zeros(3), np.zeros(2))
