"""Sharpening: the detector's MTF and the envelope (B-factor) taken out of a map's amplitudes, weighted by the FSC.

The final map's transform is that of the mean of the halves, times sqrt(2 FSC / (1 + FSC)) (Rosenthal and Henderson
2003, J. Mol. Biol. 333, 721), exp(-B k²/4) with B below 0 to sharpen, and 1/MTF.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.fft

from pypcore.errors import InputError
from pypcore.formats.star import read_star
from pypcore.postprocess.fsc import Curve, Fsc, Map, radial_sum, shells

LEAST_MTF = 1e-3
FIT_FROM = 10.0  # Å: a Guinier plot is straight past the shape of the molecule


@dataclass(frozen=True)
class Guinier:
    """A Guinier plot: ``ln`` of the mean amplitude by shell against ``k2``, 1/Å², and the line fitted in a range.

    ``b_factor`` Å² (negative: what to sharpen with), ``correlation`` of the fit; ``fitted`` marks the shells used.
    """

    k2: Curve
    ln: Curve
    fitted: npt.NDArray[np.bool_]
    slope: float
    intercept: float
    correlation: float

    @property
    def b_factor(self) -> float:
        """The B-factor, Å²: four times the slope."""
        return 4 * self.slope


def guinier(volume: Map, fsc: Fsc, mtf: Curve | None, *, low: float = FIT_FROM, high: float | None = None) -> Guinier:
    """Fit the fall of a map's amplitudes between ``low`` and ``high`` Å (default: to the resolution at 0.143).

    The map's amplitudes are taken after division by the MTF and weighting by the FSC, as they are in the final map.
    InputError where fewer than three shells lie between.
    """
    shell = shells(fsc.box)
    spectrum = scipy.fft.rfftn(volume)
    count = radial_sum(np.ones(shell.shape, np.float32), shell, fsc.box)
    amplitude = radial_sum(np.abs(spectrum), shell, fsc.box) / count * weight(fsc.corrected)
    if mtf is not None:
        amplitude = amplitude / np.maximum(mtf, LEAST_MTF)
    k2 = fsc.frequency**2
    ln = np.log(np.maximum(amplitude, 1e-30))
    finest = high or fsc.resolution()
    fitted = (fsc.frequency >= 1 / low) & (fsc.frequency <= 1 / finest) & (amplitude > 0)
    if np.count_nonzero(fitted) < 3:
        raise InputError(
            f"only {np.count_nonzero(fitted)} shells lie between {low:g} and {finest:.3g} Å, too few for a B-factor; "
            "give one with --b-factor, or a wider range with --fit-from"
        )
    slope, intercept = np.polyfit(k2[fitted], ln[fitted], 1)
    correlation = float(np.corrcoef(k2[fitted], ln[fitted])[0, 1])
    return Guinier(k2, ln, fitted, float(slope), float(intercept), correlation)


def weight(curve: Curve) -> Curve:
    """Return sqrt(2 FSC / (1 + FSC)), 0 from the first shell on where the FSC is not above 0."""
    known = np.clip(curve, 0, 1)
    ended = np.flatnonzero(known <= 0)
    if len(ended):
        known[ended[0] :] = 0
    return np.sqrt(2 * known / (1 + known))


def sharpened(
    volume: Map,
    fsc: Fsc,
    b_factor: float,
    mtf: Curve | None = None,
    *,
    weighted: bool = True,
    lowpass: float | None = None,
    threads: int = 1,
) -> Map:
    """Return a map sharpened by ``b_factor`` Å² (negative sharpens), over the MTF, and weighted by the corrected FSC.

    ``lowpass``, Å: a cosine edge over two shells there; default: the resolution at 0.143.
    """
    frequency = fsc.frequency
    curve = np.exp(-b_factor / 4 * frequency**2)
    if weighted:
        curve = curve * weight(fsc.corrected)
    if mtf is not None:
        curve = curve / np.maximum(mtf, LEAST_MTF)
    finest = fsc.box * fsc.pixel_size / (lowpass or fsc.resolution())  # in shells
    curve = curve * (0.5 + 0.5 * np.cos(np.pi * np.clip((np.arange(len(curve)) - finest) / 2, 0, 1)))
    by_shell = np.append(curve, 0).astype(np.float32)  # nothing beyond Nyquist
    spectrum = scipy.fft.rfftn(volume, workers=threads) * by_shell[shells(fsc.box)]
    return np.asarray(scipy.fft.irfftn(spectrum, volume.shape, workers=threads), np.float32)


def read_mtf(path: Path, fsc: Fsc, original_pixel_size: float | None) -> Curve:
    """Read a detector's MTF from a STAR file as RELION has it; return it for each shell of ``fsc``.

    Its frequencies are in 1/pixel of the detector; ``original_pixel_size`` is that pixel's, Å, by default the map's.
    """
    for block in read_star(path).values():
        if "rlnResolutionInversePixel" in block.columns and "rlnMtfValue" in block.columns:
            try:
                pixels, values = (
                    np.array(block.columns[name], np.float64) for name in ("rlnResolutionInversePixel", "rlnMtfValue")
                )
            except ValueError as error:
                raise InputError(f"{path}: not a table of numbers ({error})") from error
            if np.any(np.diff(pixels) <= 0):
                raise InputError(f"{path}: rlnResolutionInversePixel does not grow from row to row")
            return np.interp(fsc.frequency * (original_pixel_size or fsc.pixel_size), pixels, values)
    raise InputError(f"{path}: no table with rlnResolutionInversePixel and rlnMtfValue; give the MTF's STAR file")
