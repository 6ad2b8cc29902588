"""pypcore: a cryo-EM compute pipeline for one machine or a SLURM cluster.

``run``, ``resume`` and ``open_job`` do from Python what the command line does. Importing this is light: what a job
needs is loaded when it runs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypcore.api import open_job, resume, run

__all__ = ["open_job", "resume", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from pypcore import api

        return getattr(api, name)
    raise AttributeError(f"module 'pypcore' has no attribute '{name}'")
