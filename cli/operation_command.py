"""Commands made from operations: one subcommand an operation, its options from the operation's parameters."""

import inspect
from collections.abc import Callable
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from typer.core import TyperCommand, TyperGroup

from pypcore.operation import Operation, get_operation, operation_names
from pypcore.options import PER_PHASE
from pypcore.resources import PhaseResources

RESOURCE_HELP = {
    "threads": "Threads (CPUs) of a task.",
    "memory": "Memory per thread, GB; or with a unit: 1.5, 4G, 4000M.",
    "walltime": "Time limit, d-hh:mm:ss or SLURM's other forms; 5:30 is minutes:seconds, 90 is minutes.",
    "gres": "Generic resources of a task, such as gpu:1 or gpu:H100:2.",
}


Do = Callable[[str, list[str], Path, dict[str, Any]], None]


def operation_group(do: Do, more: Callable[[], list[inspect.Parameter]] = list) -> type[TyperGroup]:
    """Return the group of a verb over operations: it calls ``do(operation, inputs, job, options)``."""

    class OperationGroup(TyperGroup):
        """The operations that are installed, each loaded only when it is asked for."""

        def list_commands(self, ctx: Any) -> list[str]:
            """List the operations."""
            return list(operation_names())

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            """Make the command of one operation; UsageError with the nearest for an unknown one."""
            try:
                return _command(get_operation(cmd_name), do, more())
            except ImportError as error:  # one that is badly installed must not hide the others
                return TyperCommand(cmd_name, help=f"can't be loaded: {error}")

    return OperationGroup


def _command(operation: Operation, do: Do, more: list[inspect.Parameter]) -> Any:
    single = typer.Typer(add_completion=False, rich_markup_mode="rich")
    single.command(
        operation.name,
        help=f"{operation.summary}.",
        epilog="INPUT: files, globs (quoted or not), folders, a STAR file, or @list.txt with one path a line.",
    )(_callback(operation, do, more))
    return typer.main.get_command(single)


def _callback(operation: Operation, do: Do, more: list[inspect.Parameter]) -> Callable[..., None]:
    """Return a function whose signature is the command's: inputs, job, parameters, resources."""

    def call(inputs: list[str], output: Path, **options: Any) -> None:
        options["reject"] = options["reject"] or None  # an empty list is what Typer gives for none
        do(operation.name, inputs, output, options)

    parameters = [
        parameter("inputs", list[str], typer.Argument(metavar="INPUT", show_default=False, help="The items.")),
        parameter(
            "output", Path, typer.Option("--output", "-o", metavar="JOB", show_default=False, help="The job folder.")
        ),
        *(_of_field(name, info, operation.name) for name, info in operation.Parameters.model_fields.items()),
        *_resource_options(),
        *more,
        *_job_options(),
    ]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return call


def parameter(name: str, kind: Any, info: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    """Return one parameter of a command."""
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, info], default=default)


def _of_field(name: str, info: FieldInfo, panel: str) -> inspect.Parameter:
    """Make an option from a field of the parameters' model; None means that it was not given."""
    kind = _plain_type(info.annotation)
    flag = f"--{name.replace('_', '-')}"
    declared = f"{flag}/--no-{name.replace('_', '-')}" if kind is bool else flag
    shown = ""
    if info.default not in (None, PydanticUndefined, ""):
        shown = _show_default(info.default)
    choices = [str(one) for one in get_args(_bare(info.annotation))] if "Literal" in str(info.annotation) else []
    option = typer.Option(
        declared,
        help=_help((info.description or "").rstrip(".") + ".", shown),
        show_default=False,
        metavar="|".join(choices) or None,
        rich_help_panel=f"Parameters of {panel}",
    )
    return parameter(name, kind | None, option, None)


def _help(text: str, default: str) -> str:
    return f"{text} Default: {default}." if default else text


def _show_default(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _bare(annotation: Any) -> Any:
    """Take ``None`` out of an annotation."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    rest = [one for one in get_args(annotation) if one is not NoneType]
    if isinstance(annotation, type) or len(rest) == len(get_args(annotation)):
        return annotation
    return rest[0] if len(rest) == 1 else Union[tuple(rest)]  # noqa: UP007 - built at run time


def _plain_type(annotation: Any) -> type:
    """Return the type that the command line reads; whatever is not plain is text, which the model reads."""
    bare = _bare(annotation)
    return bare if bare in (int, float, bool, Path) else str


def _resource_options() -> list[inspect.Parameter]:
    default = PhaseResources()
    shown = {"threads": "1", "memory": "4", "walltime": "1-00:00:00", "gres": "none"}
    assert (default.threads, default.memory, default.walltime) == (1, 4096, 86400)
    options = []
    for phase in ("split", "launch", "merge"):
        for key in PER_PHASE:
            flags = [f"--{phase}-{key}"] if phase != "split" else [f"--{key}", f"--split-{key}"]
            options.append(
                parameter(
                    key if phase == "split" else f"{phase}_{key}",
                    (int if key == "threads" else str) | None,
                    typer.Option(
                        *flags,
                        help=_help(RESOURCE_HELP[key], shown[key]),
                        show_default=False,
                        rich_help_panel=f"Resources of {phase.capitalize()}",
                    ),
                    None,
                )
            )
    for name, kind, text in (
        ("total_threads", int, "Threads of all tasks together; 0 is no limit but the machine's."),
        ("total_memory", str, "Memory of all tasks together, GB; 0 is no limit but the machine's."),
        ("bundle_size", str, "Items that one worker does one after another; auto: for ten minutes, as measured."),
    ):
        option = typer.Option(
            f"--{name.replace('_', '-')}",
            help=_help(text, "1" if name == "bundle_size" else "0"),
            show_default=False,
            rich_help_panel="Resources of Split",
        )
        options.append(parameter(name, kind | None, option, None))
    return options


def _job_options() -> list[inspect.Parameter]:
    def option(*flags: str, **more: Any) -> Any:
        return typer.Option(*flags, rich_help_panel="The job", show_default=False, **more)

    return [
        parameter(
            "item_timeout",
            str | None,
            option("--item-timeout", help="Time limit of one item, in the forms of walltime. Default: none."),
            None,
        ),
        parameter(
            "checkpoint",
            str | None,
            option(
                "--checkpoint",
                help="Where an operation accumulates: save a bundle's sum so often, in the forms of walltime; 0: only "
                "at its end. Default: 10:00.",
            ),
            None,
        ),
        parameter(
            "allow_missing",
            bool | None,
            option("--allow-missing/--refuse-missing", help="Merge even when items are missing. Default: no."),
            None,
        ),
        parameter(
            "reject",
            list[str],
            option(
                "--reject",
                metavar="RULE",
                help="Leave finished items out of Merge by a figure of theirs: 'motion_total > 50' (its own unit); "
                "several may be given. They stay, and aside.jsonl lists them.",
            ),
            [],
        ),
        parameter("on_done", str | None, option("--on-done", help="Shell command to run when all went well."), None),
        parameter("on_fail", str | None, option("--on-fail", help="Shell command to run otherwise."), None),
        parameter(
            "config", Path | None, option("--config", help="A pypcore.toml with any of this; options win."), None
        ),
        parameter(
            "retry_failed", bool, option("--retry-failed", help="Try again what failed by its own fault."), False
        ),
        parameter("redo", bool, option("--redo", help="Make finished items again whose settings are changed."), False),
        parameter("ignore_disk", bool, option("--ignore-disk", help="Begin though the disk looks too small."), False),
        parameter("dry_run", bool, option("--dry-run", help="Say what would be done and why; do nothing."), False),
        parameter("json", bool, option("--json", help="Print JSON, for other programs."), False),
    ]
