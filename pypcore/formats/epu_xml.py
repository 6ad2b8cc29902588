"""What EPU writes beside a movie: an XML whose root is ``MicroscopeImage``.

Elements and units as in EPU 1 to 3: volts, metres, electrons per square metre. The pixel size is that of the image EPU
recorded; a movie may be on a finer grid (super-resolution, no binning), which its own size tells: ``pixel_size_of``.
"""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from pypcore.errors import InputError

ROOT = "MicroscopeImage"
_SAME = 0.01  # share by which two sides may differ and be the same grid


@dataclass(frozen=True)
class EpuImage:
    """``voltage`` kV, ``pixel_size`` Å of an image of ``size`` (height, width) px, ``dose`` e-/Å² of the whole movie.

    ``fractions`` is how many frames it has. None where the XML doesn't say it.
    """

    voltage: float | None
    pixel_size: float | None
    size: tuple[int, int] | None
    dose: float | None
    fractions: int | None
    camera: str

    def pixel_size_of(self, shape: tuple[int, int]) -> float | None:
        """Return the pixel size, Å, of a movie of ``shape`` (height, width); None where the grids don't fit."""
        if self.pixel_size is None or self.size is None:
            return None
        ratio = max(shape) / max(self.size)
        nearest = next((power for power in (0.5, 1, 2, 4) if abs(ratio / power - 1) < _SAME), None)
        return None if nearest is None else self.pixel_size / nearest


def read_epu_xml(path: Path) -> EpuImage | None:
    """Read the XML of an image; None where it is another kind of XML; InputError where it is none."""
    try:
        root = ElementTree.fromstring(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error})") from error
    if _bare(root) != ROOT:
        return None
    custom = dict(_pairs(root))
    volts = _first(root, "AccelerationVoltage")
    metres = _pixel_metres(root)
    dose = _number(custom.get("Dose"))
    sides = [_first(area, side) for area in root.iter() if _bare(area) == "ReadoutArea" for side in ("height", "width")]
    fractions = _first(root, "NumberOffractions")
    return EpuImage(
        voltage=volts / 1000 if volts else None,
        pixel_size=metres * 1e10 if metres else None,
        size=(int(sides[0]), int(sides[1])) if len(sides) >= 2 and sides[0] and sides[1] else None,
        dose=dose / 1e20 if dose else None,
        fractions=int(fractions) if fractions else None,
        camera=custom.get("DetectorCommercialName", "") or "",
    )


def _bare(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]


def _first(root: ElementTree.Element, name: str) -> float | None:
    """Return the first element called ``name``, in whatever namespace, as a number."""
    return next(
        (_number(one.text) for one in root.iter() if _bare(one) == name and _number(one.text) is not None), None
    )


def _pixel_metres(root: ElementTree.Element) -> float | None:
    size = next((one for one in root.iter() if _bare(one) == "pixelSize"), None)
    return None if size is None else _first(size, "numericValue")


def _pairs(root: ElementTree.Element) -> list[tuple[str, str | None]]:
    """Return the keys and values of ``CustomData`` and of the camera's own settings."""
    found = []
    for one in root.iter():
        if _bare(one) == "KeyValueOfstringanyType":
            parts = {_bare(child): child.text for child in one}
            found.append((parts.get("Key") or "", parts.get("Value")))
    return found


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
