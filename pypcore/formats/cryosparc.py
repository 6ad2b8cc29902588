"""cryoSPARC's ``.cs`` files: a NumPy array of one row a particle or exposure, fields named ``group/field``.

Conventions, from cryosparc-tools' documentation and from how cryoDRGN and pyem read them: ``alignments3D/pose`` is a
rotation vector p (axis times angle, radian) and the matrix of RELION's angles is the transpose of its rotation;
``alignments3D/shift`` is in pixels of ``alignments3D/psize_A``, x then y, of RELION's sign; ``split`` counts from 0;
``blob/idx`` counts from 0; ``df_angle_rad`` and ``phase_shift_rad`` are in radian; a particle's place is a share of the
micrograph's width and height, ``micrograph_shape`` is (height, width); ``ctf/tilt_A`` is Cs times the sine of the beam
tilt. A path may begin with ``>`` (pyem#50).
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

from pypcore.errors import InputError
from pypcore.geometry import euler_angles, rotation_matrices

Rows = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]
_MAGIC, _OTHER_MAGIC = b"\x93NUMPY", b"\x94CSDAT"


def read_cs(path: Path, *passthrough: Path) -> dict[str, Rows]:
    """Read the fields of a ``.cs`` file, and of its passthrough files what it lacks, matched by ``uid``.

    InputError for another file, or a passthrough of other rows.
    """
    fields = _read_one(path)
    for other in passthrough:
        more = _read_one(other)
        if "uid" not in fields or "uid" not in more:
            raise InputError(f"{other}: no uid in it or in {path.name}; rows can't be matched")
        place = {int(uid): row for row, uid in enumerate(more["uid"])}
        try:
            rows = np.array([place[int(uid)] for uid in fields["uid"]], np.intp)
        except KeyError as error:
            raise InputError(
                f"{other}: has no row {error} of {path.name}; give the passthrough of the same job"
            ) from error
        fields |= {name: values[rows] for name, values in more.items() if name not in fields}
    return fields


def _read_one(path: Path) -> dict[str, Rows]:
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    if start == _OTHER_MAGIC:
        raise InputError(
            f"{path}: of cryoSPARC's streaming form (CSDAT); save it as NumPy's: "
            "cryosparc.dataset.Dataset.load(FILE).save(FILE, 1)"
        )
    if start != _MAGIC:
        raise InputError(f"{path}: not a .cs file (it doesn't begin as a NumPy array does)")
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: damaged ({error}); copy it again") from error
    if array.dtype.names is None:
        raise InputError(f"{path}: an array without fields; give a .cs file of particles or exposures")
    return {name: array[name] for name in array.dtype.names}


def write_cs(path: Path, fields: Mapping[str, Rows]) -> None:
    """Write fields, each with one row an item, as cryoSPARC and cryosparc-tools read them."""
    kinds = [(name, values.dtype, values.shape[1:]) for name, values in fields.items()]
    rows = len(next(iter(fields.values())))
    array = np.zeros(rows, np.dtype(kinds))
    for name, values in fields.items():
        array[name] = values
    with path.open("wb") as file:
        np.save(file, array)


def text_of(values: Rows) -> list[str]:
    """Return a field of text, paths without the ``>`` that some begin with."""
    texts = (one.decode("utf-8", "replace") if isinstance(one, bytes) else str(one) for one in values.tolist())
    return [text.lstrip(">") for text in texts]


def as_text(values: Sequence[str]) -> Rows:
    """Return text as a field."""
    return np.array([value.encode() for value in values] or [b""], np.bytes_)[: len(values)]


def uids(names: Sequence[str]) -> Rows:
    """Return a number for each name, the same for ever."""
    return np.array(
        [int.from_bytes(hashlib.blake2b(n.encode(), digest_size=8).digest(), "little") for n in names], "<u8"
    )


def angles_of(poses: Rows) -> Floats:
    """Return RELION's rot, tilt, psi [n, 3], degrees, of rotation vectors [n, 3]."""
    turned = Rotation.from_rotvec(np.asarray(poses, np.float64)).as_matrix()
    return euler_angles(np.swapaxes(turned, -1, -2))


def poses_of(angles: Floats) -> npt.NDArray[np.float32]:
    """Return rotation vectors [n, 3] of RELION's rot, tilt, psi [n, 3], degrees."""
    matrices = rotation_matrices(*np.asarray(angles, np.float64).T)
    vectors = Rotation.from_matrix(np.swapaxes(matrices, -1, -2)).as_rotvec()
    return np.asarray(vectors, np.float32)
