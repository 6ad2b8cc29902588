"""What can go wrong, and the exit code it leaves.

Exit codes of every command: 0 done, 1 some items failed, 2 usage, 3 environment, 4 cancelled.
"""


class PypcoreError(Exception):
    """An error that a user can act on: its text is one line and needs no traceback."""

    exit_code = 1


class InputError(PypcoreError):
    """A file that can't be used. The item it belongs to fails alone; the others go on."""


class UsageError(PypcoreError):
    """A request that makes no sense: a wrong option, value, or combination."""

    exit_code = 2


class SetupError(PypcoreError):
    """The machine can't do it: too few cores, a full disk, a missing program."""

    exit_code = 3


class Cancelled(PypcoreError):
    """The user stopped the job."""

    exit_code = 4
