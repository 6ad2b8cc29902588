"""Point groups as RELION names and orients them: the rotations that leave a particle as it is."""

import re
from itertools import product

import numpy as np
from numpy.typing import NDArray

Rotations = NDArray[np.float64]

_GOLDEN = (1 + 5**0.5) / 2
# Axes (x, y, z) and their order, from which a group is made.
_TETRAHEDRAL = (((0, 0, 1), 3), ((0, 2**0.5, 1), 2))
_OCTAHEDRAL = (((1, 1, 1), 3), ((0, 0, 1), 4))
_TWO_X = (((1, 0, 0), 2), ((_GOLDEN, 0, -1), 5), ((_GOLDEN**2, 1, 0), 3))
_TWO_Z = (((0, 0, 1), 2), ((1, 0, _GOLDEN), 5), ((0, 1, _GOLDEN**2), 3))
_FIVE_Z = (((-1, 0, _GOLDEN), 2), ((0, 0, 1), 5))
_FIVE_Z_TURNED = (((1, 0, _GOLDEN), 2), ((0, 0, 1), 5))
_NAMED = {
    "T": _TETRAHEDRAL,
    "O": _OCTAHEDRAL,
    "I": _TWO_Z,
    "I1": _TWO_X,
    "I2": _TWO_Z,
    "I3": _FIVE_Z,
    "I4": _FIVE_Z_TURNED,
}
_MIRRORED = re.compile(r"(C\d+[HV]|D\d+[HV]|S\d+|CI|CS|T[DH]|OH|I\d?H)")


def point_group(name: str) -> Rotations:
    """Return the rotations [n, 3, 3] of a point group, the identity first; vectors are (x, y, z).

    ``name``: Cn about z; Dn with a two-fold axis along x; T with a three-fold axis along z; O with four-fold axes
    along x, y and z; I or I2 with two-fold axes along x, y and z and a five-fold one in the xz plane at x > 0, z > 0;
    I1 like it, turned by 90 degrees about z; I3 and I4 with a five-fold axis along z and a two-fold one in the
    xz plane. Raises ValueError for others, saying which there are.
    """
    asked = name.strip().upper()
    if match := re.fullmatch(r"([CD])(\d+)", asked):
        order = int(match[2])
        if order < 1:
            raise ValueError(f"symmetry {name}: the number after the letter is at least 1")
        axes = (((0, 0, 1), order), *([((1, 0, 0), 2)] if match[1] == "D" else []))
        return _generate(axes)
    if asked in _NAMED:
        return _generate(_NAMED[asked])
    if _MIRRORED.fullmatch(asked):
        raise ValueError(
            f"symmetry {name} has a mirror plane, and no protein has one; use its rotations alone, such as {asked[0]}"
        )
    if asked.startswith("H"):
        raise ValueError(f"symmetry {name}: helical symmetry is not supported; there are Cn, Dn, T, O, I, I1 to I4")
    raise ValueError(f"symmetry {name!r} is none of Cn, Dn, T, O, I, I1, I2, I3, I4 (such as C1, D7 or I)")


def _generate(axes: tuple[tuple[tuple[float, float, float], int], ...]) -> Rotations:
    """Multiply rotations about the axes until no new one comes."""
    makers = [_about(np.array(axis, float), 2 * np.pi / order) for axis, order in axes]
    found = [np.eye(3)]
    grown = 0
    while grown < len(found):
        for maker in makers:
            new = found[grown] @ maker
            if all(np.abs(new - old).max() > 1e-6 for old in found):
                found.append(new)
        grown += 1
    return np.array(found)


def _about(axis: NDArray[np.float64], angle: float) -> Rotations:
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)


def is_group(rotations: Rotations) -> bool:
    """Say whether products of any two of the rotations are among them."""
    products = np.array([a @ b for a, b in product(rotations, rotations)])
    return all(np.abs(rotations - each).max((1, 2)).min() < 1e-6 for each in products)
