"""The versions of pypcore and of what its numbers depend on, as they are installed here."""

import platform
from importlib.metadata import PackageNotFoundError, version

DECISIVE = ("numpy", "scipy", "numba", "tifffile", "imagecodecs", "mrcfile", "gemmi")


def versions() -> dict[str, str]:
    """Return the version of pypcore, of Python, and of each library that decides numbers; ``missing`` where it is."""
    found = {"pypcore": version("pypcore"), "python": platform.python_version()}
    for name in DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found
