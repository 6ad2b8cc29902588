"""Maps against the truth: what is right gives it back, what is flipped does not."""

from dataclasses import replace

import numpy as np
import pytest

import pypcore
from pypcore.geometry import euler_angles, rotation_matrices
from pypcore.reconstruct.finish import Finish
from pypcore.reconstruct.particles import DoseWeights, Optics, Poses

PIXEL = 256 / 48  # as in conftest


@pytest.mark.parametrize(("padding", "least"), [(1, 0.998), (2, 0.997)])
def test_noise_free_particles_give_back_the_density(maps, case, padding, least):
    found = pypcore.backproject(case.images, case.poses, case.ctf, pixel_size=PIXEL, padding=padding)
    assert maps.worst(found, case.truth) > least
    truth = case.truth - case.truth.mean()
    assert np.vdot(found, truth) / np.vdot(truth, truth) == pytest.approx(1, abs=0.05)


def flipped(case, how):
    poses = case.poses
    if how == "negated psi":
        return replace(poses, psi=-poses.psi)
    if how == "shifts the other way":
        return replace(poses, shift_y=-poses.shift_y, shift_x=-poses.shift_x)
    if how == "shifts swapped":
        return replace(poses, shift_y=poses.shift_x, shift_x=poses.shift_y)
    rotations = rotation_matrices(poses.rot, poses.tilt, poses.psi).swapaxes(1, 2)
    return Poses(*euler_angles(rotations).T, poses.shift_y, poses.shift_x)


@pytest.mark.parametrize("how", ["negated psi", "shifts the other way", "shifts swapped", "transposed rotation"])
def test_a_flipped_convention_spoils_the_map(maps, case, how):
    found = pypcore.backproject(case.images, flipped(case, how), case.ctf, pixel_size=PIXEL)
    assert maps.worst(found, case.truth) < 0.65


def test_the_map_is_not_its_mirror_image(maps, case):
    found = pypcore.backproject(case.images, case.poses, case.ctf, pixel_size=PIXEL)
    mirrored = np.roll(found[::-1], 1, 0)
    assert maps.shells(mirrored, case.truth)[1:].mean() < 0.5


def test_projections_of_the_truth_are_the_images(maps, case):
    found = pypcore.project(case.truth, case.poses[:20], case.ctf[:20], pixel_size=PIXEL)
    images = case.images[:20] - case.images[:20].mean((1, 2), keepdims=True)
    found -= found.mean((1, 2), keepdims=True)
    assert np.linalg.norm(found - images) < 0.05 * np.linalg.norm(images)


def test_images_of_a_coarser_pixel_give_the_same_map(maps, case):
    box = 36
    side = case.images.shape[1]
    spectra = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(case.images, (1, 2))), (1, 2))
    cut = slice(side // 2 - box // 2, side // 2 + box // 2)
    small = np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(spectra[:, cut, cut], (1, 2))), (1, 2)).real
    coarse = PIXEL * side / box
    small = (small * (box / side) ** 2 * (side / box) ** 2).astype(np.float32) * np.float32((box / side) ** 2)
    optics = Optics(coarse)
    found = pypcore.backproject(small, case.poses, case.ctf, pixel_size=PIXEL, optics=optics, box=side)
    whole = pypcore.backproject(case.images, case.poses, case.ctf, pixel_size=PIXEL)
    curve = maps.shells(found, whole)
    assert curve[1 : box // 2 - 1].min() > 0.999
    assert np.abs(curve[box // 2 + 2 :]).max() < 0.5  # nothing beyond the images' Nyquist


def test_symmetry_of_a_symmetric_particle_changes_nothing_and_fills_views(maps, case):
    from pypcore.reconstruct.symmetry import point_group
    from pypcore.simulate import particles as simulated

    part = replace(maps.molecule(), atoms=0.45 * maps.molecule().atoms)
    whole = simulated.repeated(part, point_group("D3"), (28, 3, 12))
    given = simulated.random_particles(300, 5)
    images = simulated.images(whole, given, maps.box, PIXEL)
    found = pypcore.backproject(
        images, maps.poses_of(given), maps.ctf_of(given), pixel_size=PIXEL, finish=Finish("D3"), padding=2, threads=2
    )
    assert maps.worst(found, simulated.density(whole, maps.box, PIXEL)) > 0.98


def test_weights_by_frequency_of_all_ones_change_nothing_and_of_zero_leave_out(maps, case):
    n = len(case.images)
    plain = pypcore.backproject(case.images, case.poses, case.ctf, pixel_size=PIXEL)
    curves = np.ones((2, 10), np.float32)
    same = pypcore.backproject(
        case.images, case.poses, case.ctf, pixel_size=PIXEL, dose=DoseWeights(curves, np.zeros(n))
    )
    assert np.allclose(plain, same, atol=1e-5 * np.abs(plain).max())
    curves[1] = 0
    spoiled = case.images.copy()
    spoiled[::2] = 7 * case.images[::2, ::-1]
    dose = DoseWeights(curves, 1 - np.arange(n) % 2)
    half = pypcore.backproject(spoiled, case.poses, case.ctf, pixel_size=PIXEL, dose=dose)
    odd = pypcore.backproject(case.images[1::2], case.poses[1::2], case.ctf[1::2], pixel_size=PIXEL)
    assert np.allclose(half, odd, atol=1e-4 * np.abs(odd).max())


def test_iterated_weights_keep_the_density(maps, case):
    found = pypcore.backproject(case.images, case.poses, case.ctf, pixel_size=PIXEL, finish=Finish(iterations=3))
    assert maps.worst(found, case.truth) > 0.997


def test_iterated_weights_do_not_amplify_noise_where_samples_are_few(maps, case):
    from pypcore.simulate.particles import with_noise

    noisy = with_noise(case.images[:200], 0.05, 13, 1)
    means = []
    for iterations in (0, 10):
        finish = Finish(iterations=iterations)
        found = pypcore.backproject(noisy, case.poses[:200], case.ctf[:200], pixel_size=PIXEL, padding=2, finish=finish)
        means.append(maps.shells(found, case.truth)[1:].mean())
    assert means[1] > means[0] + 0.005


@pytest.mark.parametrize("curved", [1, -1])
def test_the_ewald_sphere_is_undone_by_its_own_sign_only(maps, make_case, curved):
    from pypcore.reconstruct.particles import Ewald
    from pypcore.simulate.particles import Microscope

    # At 150 V the sphere bends as much at 11 Å as at 300 kV at 1.5 Å.
    bent = make_case(300, Microscope(voltage=0.15, cs=0.0, curved=curved), defocus=(150.0, 1000.0), astigmatism=0.0)
    optics = Optics(PIXEL, voltage=0.15, cs=0.0)
    means = {}
    for sign in (1, -1, 0):
        ewald = Ewald(140.0, sign) if sign else None
        found = pypcore.backproject(bent.images, bent.poses, bent.ctf, pixel_size=PIXEL, optics=optics, ewald=ewald)
        means[sign] = maps.shells(found, bent.truth)[12:].mean()
    assert means[curved] == max(means.values())
    assert means[curved] > means[0] + 0.001 > means[-curved] + 0.006
