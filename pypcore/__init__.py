"""pypcore: a cryo-EM compute pipeline for one machine or a SLURM cluster.

``run``, ``resume`` and ``open_job`` do from Python what the command line does; ``backproject`` and ``project`` go from
particle images to a map and back. Importing this is light: what a job
needs is loaded when it runs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypcore.api import open_job, resume, run
    from pypcore.reconstruct.arrays import backproject, project

__all__ = ["backproject", "open_job", "project", "resume", "run"]

_ARRAYS = ("backproject", "project")


def __getattr__(name: str) -> Any:
    if name in _ARRAYS:
        from pypcore.reconstruct import arrays

        return getattr(arrays, name)
    if name in __all__:
        from pypcore import api

        return getattr(api, name)
    raise AttributeError(f"module 'pypcore' has no attribute '{name}'")
