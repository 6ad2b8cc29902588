"""The FSC curves as tables: STAR for RELION's eyes, CSV for everything else."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pypcore.formats.star import write_star
from pypcore.postprocess.fsc import Curve, Fsc

FARTHEST = 999.0  # Å, what RELION writes for the shell of the mean


def fsc_columns(fsc: Fsc) -> dict[str, list[Any]]:
    """Return the table ``data_fsc`` as RELION's postprocess writes it."""
    frequency = fsc.frequency
    return {
        "rlnSpectralIndex": list(range(len(frequency))),
        "rlnResolution": [float(one) for one in frequency],
        "rlnAngstromResolution": [FARTHEST, *(float(1 / one) for one in frequency[1:])],
        "rlnFourierShellCorrelationCorrected": _list(fsc.corrected),
        "rlnFourierShellCorrelationUnmaskedMaps": _list(fsc.unmasked),
        "rlnFourierShellCorrelationMaskedMaps": _list(fsc.masked),
        "rlnCorrectedFourierShellCorrelationPhaseRandomizedMaskedMaps": _list(fsc.randomised),
    }


def write_fsc_star(path: Path, fsc: Fsc, general: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
    """Write ``data_general`` and ``data_fsc``, and the blocks ``more``."""
    write_star(path, {"general": dict(general), "fsc": fsc_columns(fsc), **(more or {})})


def write_fsc_csv(path: Path, fsc: Fsc, more: Mapping[str, Curve] | None = None) -> None:
    """Write a row a shell; ``more`` columns after the curves."""
    columns = {
        "shell": list(range(len(fsc.unmasked))),
        "frequency_per_angstrom": _list(fsc.frequency),
        "unmasked": _list(fsc.unmasked),
        "masked": _list(fsc.masked),
        "phase_randomised": _list(fsc.randomised),
        "corrected": _list(fsc.corrected),
        **{name: _list(curve) for name, curve in (more or {}).items()},
    }
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _list(curve: Curve) -> list[float]:
    return [float(f"{value:.6g}") for value in curve]
