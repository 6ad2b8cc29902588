"""What a Warp (or M) tilt-series XML says: angles, doses, which tilts are used, movies, and defocus."""

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from xml.etree import ElementTree

from pypcore.errors import InputError
from pypcore.formats.ctffind import Defocus

_MICRON = 1e4  # Å


@dataclass(frozen=True)
class WarpTilts:
    """A tilt series of Warp's: a value for each tilt, in the order of the file.

    ``angles`` in degrees, in Warp's sense, which is the opposite of IMOD's when ``inverted``; ``doses`` in e-/Å²,
    taken with each tilt's exposure; ``defocus`` is empty where none was estimated.
    """

    angles: list[float]
    inverted: bool
    doses: list[float]
    used: list[bool]
    movies: list[str]
    defocus: list[Defocus]


def read_warp_xml(path: Path) -> WarpTilts:
    """Read the XML of a tilt series; raise InputError where it is none."""
    try:
        root = ElementTree.fromstring(path.read_bytes())  # UTF-8 or UTF-16, as its declaration and mark say
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); check the path and its permissions") from error
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: not XML ({error}); give the file that Warp wrote for the tilt series") from error
    if root.tag != "TiltSeries":
        raise InputError(f"{path}: its root is <{root.tag}>, not <TiltSeries>; give the XML of a tilt series")
    try:
        angles = [float(word) for word in _words(root, "Angles")]
        doses = [float(word) for word in _words(root, "Dose")]
        used = [word.lower() == "true" for word in _words(root, "UseTilt")]
        defocus = _defocus(root, len(angles), path)
    except ValueError as error:
        raise InputError(f"{path}: {error}; a number was expected") from error
    movies = [PureWindowsPath(line.strip()).name for line in (root.findtext("MoviePath") or "").splitlines()]
    if not angles:
        raise InputError(f"{path}: no <Angles> in it; give the XML of a tilt series")
    return WarpTilts(angles, root.get("AreAnglesInverted") == "True", doses, used, movies, defocus)


def _words(root: ElementTree.Element, tag: str) -> list[str]:
    return (root.findtext(tag) or "").split()


def _defocus(root: ElementTree.Element, tilts: int, path: Path) -> list[Defocus]:
    """Read the grids of the CTF; they are in µm, with u - v as the delta."""
    mean = _grid(root, "GridCTF", tilts, path)
    if not any(mean):
        return []  # what Warp writes before it has estimated any
    delta, angle, phase = (
        _grid(root, f"GridCTF{name}", tilts, path) for name in ("DefocusDelta", "DefocusAngle", "Phase")
    )
    return [
        Defocus((m + d / 2) * _MICRON, (m - d / 2) * _MICRON, a, p * 180)
        for m, d, a, p in zip(mean, delta, angle, phase, strict=True)
    ]


def _grid(root: ElementTree.Element, tag: str, tilts: int, path: Path) -> list[float]:
    """Return a grid's value for each tilt: the mean over the field; one for all where it has one layer."""
    grid = root.find(tag)
    if grid is None:
        return [0.0] * tilts
    layers: dict[int, list[float]] = {}
    for node in grid.iter("Node"):
        layers.setdefault(int(node.get("Z", "0")), []).append(float(node.get("Value", "0")))
    means = [sum(layers[z]) / len(layers[z]) for z in sorted(layers)]
    if len(means) == 1:
        return means * tilts
    if len(means) != tilts:
        raise InputError(f"{path}: <{tag}> has {len(means)} layers for {tilts} tilts; they should be as many")
    return means
