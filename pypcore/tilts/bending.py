"""What local shifts are expected to look like, and the fit that combines it with what patches of the views say.

d_t(X, Y), px of the aligned views, is a Gaussian process, separable into tilt and place (Matérn 5/2 both). What no
views can tell is taken out of it: at each place a shift along the axis that is the same in all views, and one across
it that goes as cos t or sin t, since both are where that part of the specimen lies. Its strength, and how far it
reaches in tilt and place, are those of the highest evidence; where none is better than no local shifts at all, there
are none. Patches that disagree more than they may, as those do that show little but one strong object, have less say.
The kernels are cut to their leading terms, so that one dense factorisation of some hundred unknowns serves.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

Array = NDArray[np.float64]

_REACHES = (0.4, 0.8, 1.6)  # of the field's longer side, over which places move alike
_TILTS = (25.0, 60.0)  # degrees, over which views do
_STRENGTHS = tuple(0.08 * 2.0**n for n in range(8))  # px rms: from hardly anything to more than is found
_TEMPERED = 3  # times that patches are held back as far as they disagree with what comes of all
_CERTAIN = 10.0  # log evidence over none at all: less may be the model's own fault
_SLACK = 4.0  # px that a view of a patch may well lie off: what is known less well counts for nothing
_LEAST = 1e-3  # of a kernel's first term: smaller ones are left out


@dataclass(frozen=True)
class Patch:
    """What one patch says of its views' shifts d [T, 2] (x, y), px of the aligned views.

    The log likelihood is ``pull`` . d - d ``information`` d / 2, of each axis by itself: [T, 2] and [2, T, T].
    """

    pull: Array
    information: Array


@dataclass(frozen=True)
class Smoothness:
    """How local shifts are spread: ``strength`` px rms, ``reach`` of the field's longer side, ``tilts`` degrees."""

    strength: float
    reach: float
    tilts: float


@dataclass(frozen=True)
class Bend:
    """The likeliest local shifts, and how much likelier than none they are (log evidence)."""

    smoothness: Smoothness
    centres: Array  # [P, 2] (X, Y) px from the middle of the specimen's frame
    side: float  # px, the longer one of the field
    tilts: list[Array]  # bases [T, B] of either axis
    coefficients: list[Array]  # [B, S]
    error: float  # px, expected rms of the length of the 2-D error, mean over patches and views
    evidence: float

    def at(self, points: Array) -> Array:
        """Return the shifts [N, T, 2] (x, y) in px at ``points`` [N, 2] (X, Y)."""
        space = _Space(self.centres, self.side * self.smoothness.reach).at(points)
        pairs = zip(self.tilts, self.coefficients, strict=True)
        return np.stack([np.einsum("tb,bs,ns->nt", basis, found, space) for basis, found in pairs], -1)


class _Space:
    """The kernel over places as a basis whose coefficients are standard normal."""

    def __init__(self, centres: Array, length: float) -> None:
        self.centres, self.length = centres, length
        values, vectors = np.linalg.eigh(self._kernel(centres))
        kept = values > _LEAST * values.max()
        self.back = vectors[:, kept] / np.sqrt(values[kept])

    def at(self, points: Array) -> Array:
        """Return the basis [N, S] at ``points`` [N, 2]."""
        return np.asarray(self._kernel(points) @ self.back)

    def _kernel(self, points: Array) -> Array:
        return _matern(np.linalg.norm(points[:, None] - self.centres[None], axis=-1) / self.length)


def fit(patches: list[Patch], centres: Array, angles: Array, side: float, height: float) -> Bend | None:
    """Return the likeliest local shifts; None where the patches say nothing of any.

    Args:
        patches: what each of P patches says.
        centres: [P, 2] (X, Y), px from the middle of the specimen's frame.
        angles: [T] degrees.
        side: px, the longer one of the field.
        height: px by which a patch may lie higher than the others, which moves it across the axis by sin t.
    """
    rise = height * np.sin(np.radians(angles))
    bases = {far: [_tilt_basis(angles, far, axis) for axis in (0, 1)] for far in _TILTS}
    worse = np.ones(len(patches))
    best: Bend | None = None
    for _ in range(_TEMPERED):
        held = [Patch(patch.pull / own, patch.information / own) for patch, own in zip(patches, worse, strict=True)]
        best, shifts = _likeliest(held, centres, bases, side, rise)
        worse = np.array([misfit(patch, own) for patch, own in zip(patches, shifts, strict=True)])
    return best


def _likeliest(
    patches: list[Patch], centres: Array, bases: dict[float, list[Array]], side: float, rise: Array
) -> tuple[Bend | None, Array]:
    """Return the local shifts of the highest evidence, or None, and those of each patch, its rise too, [P, T, 2]."""
    nothing = np.zeros((len(rise), 0)), np.zeros((len(patches), 0))
    solved = [_System(patches, *nothing, rise, axis).solved(0.0) for axis in (0, 1)]
    none = sum(one.evidence for one in solved)
    shifts = np.stack([np.outer(solved[0].heights, rise), np.zeros((len(patches), len(rise)))], -1)
    best: Bend | None = None
    for reach, far in product(_REACHES, _TILTS):
        space = _Space(centres, side * reach).at(centres)
        systems = [_System(patches, bases[far][axis], space, rise, axis) for axis in (0, 1)]
        for strength in _STRENGTHS:
            solved = [system.solved(strength) for system in systems]
            evidence = sum(one.evidence for one in solved) - none
            if evidence > (best.evidence if best else _CERTAIN):
                error = float(np.sqrt(sum(one.variance for one in solved)))
                found = [one.found for one in solved]
                best = Bend(Smoothness(strength, reach, far), centres, side, bases[far], found, error, evidence)
                shifts = best.at(centres)
                shifts[..., 0] += np.outer(solved[0].heights, rise)
    return best, shifts


def misfit(patch: Patch, shifts: Array) -> float:
    """Return how much more a patch disagrees with ``shifts`` [T, 2] than its certainty allows: 1, where it doesn't."""
    total = freedom = 0.0
    for axis, information in enumerate(patch.information):
        rest = patch.pull[:, axis] - information @ shifts[:, axis]
        values, vectors = np.linalg.eigh(information)
        known = np.maximum(values, 0)
        total += float(((vectors.T @ rest) ** 2 / (known + 1 / _SLACK**2)).sum())
        freedom += float((known / (known + 1 / _SLACK**2)).sum())
    return max(1.0, total / freedom) if freedom > 0 else 1.0


@dataclass(frozen=True)
class _Solved:
    """One axis: coefficients [B, S], each patch's rise [P], mean variance of the shifts, log evidence against 0."""

    found: Array
    heights: Array
    variance: float
    evidence: float


class _System:
    """The normal equations of one axis: ``tilts`` [T, B] times ``space`` [P, S]; across the axis patches rise too."""

    def __init__(self, patches: list[Patch], tilts: Array, space: Array, rise: Array, axis: int) -> None:
        self.shape = tilts.shape[1], space.shape[1]
        field = self.shape[0] * self.shape[1]
        size = field + (len(patches) if axis == 0 else 0)
        self.gram, self.right, self.spread = np.zeros((size, size)), np.zeros(size), np.zeros((field, field))
        for p, patch in enumerate(patches):
            design = np.zeros((len(rise), size))
            design[:, :field] = np.kron(tilts, space[p][None])
            if axis == 0:
                design[:, field + p] = rise
            self.gram += design.T @ patch.information[axis] @ design
            self.right += design.T @ patch.pull[:, axis]
            self.spread += design[:, :field].T @ design[:, :field] / (len(rise) * len(patches))

    def solved(self, strength: float) -> _Solved:
        """Solve for shifts of ``strength`` px rms."""
        field = len(self.spread)
        if not len(self.right):
            return _Solved(np.zeros(self.shape), np.zeros(0), 0.0, 0.0)
        scale = np.where(np.arange(len(self.right)) < field, strength, 1.0)
        factor = cho_factor(np.eye(len(scale)) + self.gram * scale * scale[:, None], lower=True)
        right = self.right * scale
        found = cho_solve(factor, right)
        evidence = 0.5 * float(right @ found) - float(np.log(np.diag(factor[0])).sum())
        covariance = cho_solve(factor, np.eye(len(scale))[:, :field])[:field]
        variance = strength**2 * float((self.spread * covariance).sum())
        return _Solved(strength * found[:field].reshape(self.shape), found[field:], variance, evidence)


def _tilt_basis(angles: Array, length: float, axis: int) -> Array:
    """Return the kernel over tilts as a basis [T, B], what no views can tell taken out; of mean square 1."""
    t = np.radians(angles)
    free = np.stack([np.cos(t), np.sin(t)], -1) if axis == 0 else np.ones((len(t), 1))
    basis, _ = np.linalg.qr(free)
    seen = np.eye(len(t)) - basis @ basis.T
    kernel = seen @ _matern(np.abs(angles[:, None] - angles[None]) / length) @ seen
    values, vectors = np.linalg.eigh(kernel)
    kept = values > _LEAST * values.max()
    found = vectors[:, kept] * np.sqrt(values[kept])
    return np.asarray(found / np.sqrt((found**2).sum(1).mean()))


def _matern(distance: Array) -> Array:
    scaled = np.sqrt(5) * distance
    return np.asarray((1 + scaled + scaled**2 / 3) * np.exp(-scaled))
