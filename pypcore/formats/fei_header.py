"""The extended header of EPU and Tomography in MRC files, FEI1 or FEI2: volts, metres, electrons a square metre."""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pypcore.formats.mrc import HEADER_BYTES

KINDS = (b"FEI1", b"FEI2")


@dataclass(frozen=True)
class FeiHeader:
    """``voltage`` kV, ``pixel_size`` Å, ``dose`` e-/Å² of the image; None where it is not said."""

    voltage: float | None
    pixel_size: float | None
    dose: float | None
    application: str


def read_fei_header(path: Path) -> FeiHeader | None:
    """Read the first section's; None for a file without one."""
    from mrcfile.dtypes import get_ext_header_dtype

    with path.open("rb") as file:
        raw = file.read(HEADER_BYTES)
        if len(raw) < HEADER_BYTES or raw[104:108] not in KINDS or struct.unpack_from("<i", raw, 92)[0] <= 0:
            return None
        kind = get_ext_header_dtype(raw[104:108])
        record = file.read(kind.itemsize)
    if len(record) < kind.itemsize:
        return None
    row = np.frombuffer(record, kind)[0]

    def value(name: str, scale: float) -> float | None:
        number = float(row[name])
        return number * scale if np.isfinite(number) and number > 0 else None

    return FeiHeader(
        voltage=value("HT", 1e-3),
        pixel_size=value("Pixel size X", 1e10),
        dose=value("Dose", 1e-20),
        application=bytes(row["Application"]).split(b"\0")[0].decode("ascii", "replace").strip(),
    )
