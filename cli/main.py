"""The ``pypcore`` command: its verbs, and the exit codes of its errors."""

import os
import signal
import sys
from importlib import import_module
from types import FrameType
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from pypcore.errors import Cancelled, PypcoreError, UsageError
from pypcore.spelling import did_you_mean

# A verb's module is imported when the verb is used: ``pypcore --help`` must answer at once, on a login node too.
VERBS = {
    "init": "Look at a folder, and write a pypcore.toml for its data.",
    "run": "Run a job on this machine: pypcore run OPERATION INPUT… -o JOB.",
    "submit": "Submit the same job to a SLURM cluster.",
    "watch": "Keep up with a microscope: do what arrives in a folder.",
    "resume": "Do what is missing of a job.",
    "status": "Show where a job is, and what went wrong.",
    "panel": "Show the jobs below a folder in a web page that follows them.",
    "why": "Say why a job waits or failed, and what to do.",
    "show": "Show everything about one item.",
    "logs": "Show what was said while an item was done.",
    "cancel": "Stop a job; what is done is kept.",
    "import": "Take over what other programs wrote: nextPYP, RELION, cryoSPARC, AreTomo, Warp.",
    "export": "Hand a job's results to RELION, cryoSPARC, IMOD or AreTomo.",
    "efficiency": "Compare what was asked for with what was used.",
    "report": "Write one HTML file that tells a job, to send or to keep.",
    "clean": "Show what a job folder costs on the disk; remove what is asked for.",
    "postprocess": "Measure the resolution of two half maps, and sharpen their map.",
    "doctor": "Say what jobs can use here: this machine, and the SLURM cluster.",
    "programs": "Say which of other people's programs are here, and what is wanting.",
    "demo": "See it work: correct movies whose motion is known. About a minute.",
    "version": "Print the versions of pypcore and of what its numbers depend on.",
}
NOT_FOR_PEOPLE = ("worker",)


class Verbs(TyperGroup):
    """The verbs, each in a module of its name that is imported when the verb is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the verbs for people."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb's entry for the list of verbs; UsageError with the nearest for an unknown one."""
        if cmd_name not in VERBS and cmd_name not in NOT_FOR_PEOPLE:
            raise UsageError(f"no command is called '{cmd_name}'{did_you_mean(cmd_name, VERBS)}")
        return TyperCommand(cmd_name, help=VERBS.get(cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Load the verb that is being used."""
        name, _, rest = super().resolve_command(ctx, args)
        command = typer.main.get_command(import_module(f"pypcore.cli.{name}").app)
        command.name = name
        return name, command, rest


app = typer.Typer(
    name="pypcore",
    cls=Verbs,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Cryo-EM compute pipeline: movies, particles and tilt series, on this machine or a SLURM cluster.\n\n"
    "A job has three phases: Launch finds the items, Split does them in parallel, Merge consolidates.",
    epilog="Exit codes: 0 done, 1 some items failed, 2 usage, 3 environment, 4 cancelled.",
)


@app.callback()
def _verbs() -> None:
    pass


def main() -> None:
    """Run the command line; an error that a user can act on is one line and an exit code."""
    signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except PypcoreError as error:
        sys.stdout.flush()
        print(f"pypcore: {error}", file=sys.stderr)
        if os.environ.get("PYPCORE_DEBUG"):
            raise
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _interrupted(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # once is enough: what is being tidied up is left to end
    raise Cancelled("stopped")


if __name__ == "__main__":
    main()
