"""From options as a user gives them (command line, Python keywords, TOML) to a request, with where each came from.

One flat namespace: ``threads`` means Split's, ``merge_threads`` Merge's; what is neither a resource nor a policy
is a parameter of the operation.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pypcore.compute import read_device
from pypcore.errors import UsageError
from pypcore.job import Job
from pypcore.lanes import count_lanes
from pypcore.operation import Operation, accumulates, get_operation
from pypcore.operations.on_device import OnDevice, device_of
from pypcore.quality import Rule
from pypcore.request import Policy, Request, read_config, read_policy
from pypcore.resources import Resources, SplitResources, count_gpus, format_gres, parse_walltime
from pypcore.spelling import refuse_unknown

PHASES = ("launch", "split", "merge")
PER_PHASE = ("threads", "memory", "walltime", "gres")
OF_SPLIT = ("total_threads", "total_memory", "bundle_size")
PLACEMENT = ("partition", "account", "qos", "constraint", "exclude", "reservation")

RESOURCE_OPTIONS: dict[str, tuple[str, str]] = {
    **{key: ("split", key) for key in (*PER_PHASE, *OF_SPLIT)},
    **{f"{phase}_{key}": (phase, key) for phase in PHASES for key in PER_PHASE},
    **{key: ("placement", key) for key in PLACEMENT},
    "sbatch": ("placement", "extra_lines"),
}
POLICY_OPTIONS = tuple(vars(Policy()))


@dataclass(frozen=True)
class Prepared:
    """A request, and for each of its options where the value came from."""

    request: Request
    origins: dict[str, str]


def prepare(
    operation_name: str,
    inputs: Sequence[str | os.PathLike[str]],
    job: str | os.PathLike[str],
    options: Mapping[str, Any],
    *,
    config: Path | None = None,
    said: str = "command line",
) -> Prepared:
    """Build a request from ``options`` (those that are None were not given), over those of the file ``config``.

    UsageError for anything unknown or out of bounds. ``said`` names where ``options`` came from.
    """
    operation = get_operation(operation_name)
    given = {key: value for key, value in options.items() if value is not None}
    known = [*operation.Parameters.model_fields, *RESOURCE_OPTIONS, *POLICY_OPTIONS]
    refuse_unknown(given, known, f"option of {operation.name}")
    file = _config(config, operation) if config else {}
    origins = {key: str(config) for key in _flat(file)} | dict.fromkeys(given, said)

    root = Path.cwd()
    if "bundle_size" in given:
        given["bundle_size"] = read_bundle_size(given["bundle_size"], Job(Path(job).absolute()))
    parameters = {
        **file.get("parameters", {}),
        **{k: given[k] for k in given if k in operation.Parameters.model_fields},
    }
    params = _validate(operation, parameters, root)
    policy = _policy(operation, file.get("policy", {}), given)
    resources = _resources(file.get("resources", {}), given)
    resources = _with_gpus(operation, params, resources, origins)
    request = Request(
        operation=operation.name,
        operation_version=operation.version,
        inputs=tuple(os.fspath(one) for one in inputs),
        root=root,
        job_as_given=os.fspath(job).rstrip("/") or "/",
        parameters=params.model_dump(mode="json"),
        auxiliary=_stat(operation.auxiliary(params)),
        resources=resources,
        policy=policy,
        pypcore=version("pypcore"),
    )
    return Prepared(request, origins)


def _with_gpus(operation: Operation, params: Any, resources: Resources, origins: dict[str, str]) -> Resources:
    """Return ``resources`` with ``gpu:1`` in the phase that needs one, where no gres is given there.

    UsageError for more GPUs than the operation can use, where it knows (``most_gpus``).
    """
    if isinstance(params, OnDevice):
        return _for_device(operation, params.device, resources, origins)
    phase = "merge" if getattr(operation, "merges", False) else "split"
    given = getattr(resources, phase)
    if operation.needs_gpu(params) and given.with_gpu() != given:
        given = given.with_gpu()
        resources = replace(resources, **{phase: given})
        origins["gres" if phase == "split" else "merge_gres"] = f"{operation.name} needs a GPU"
    most = getattr(operation, "most_gpus", lambda params: None)(params)
    count = count_gpus(given.gres)
    if most is not None and count > most:
        uses = f"uses {most} GPU{'s' if most > 1 else ''} a task" if most else "computes on the CPU here"
        raise UsageError(f"{operation.name} {uses}, and gres asks {count}: the others would idle; ask for less")
    return resources


def _for_device(operation: Operation, device: str, resources: Resources, origins: dict[str, str]) -> Resources:
    """Return ``resources`` with the GPUs that ``device`` needs; UsageError where gres and it can't both be."""
    asked, split = read_device(device), resources.split
    if asked.kind == "cuda" and not split.asks_gpu:
        split = split.with_gpu(asked.least)
        origins["gres"] = f"device {device}"
    gpus = count_gpus(split.gres)
    shared = split.asks_gpu and not gpus  # one of SLURM's shares of a GPU: the task sees one device
    given = f"gres {format_gres(split.gres)}"
    if asked.kind == "cpu" and split.asks_gpu:
        raise UsageError(
            f"{operation.name} computes on the CPU, and {given} asks a GPU; give --device cuda, or no gres"
        )
    if asked.kind == "cuda" and asked.least > (1 if shared else gpus):
        raise UsageError(
            f"device {device} names device {asked.least - 1}, and {given} gives a task {1 if shared else gpus}, "
            f"numbered from 0; give --gres gpu:{asked.least}, or --device cuda for all"
        )
    if asked.ordinals and gpus > asked.least:
        raise UsageError(f"device {device} uses {len(asked.ordinals)} GPUs, and {given} asks {gpus}; ask for less")
    lanes = count_lanes(operation, device, gpus)
    if lanes > split.threads:
        raise UsageError(
            f"{operation.name} does an item on each of a task's {gpus} GPUs, and threads {split.threads} are fewer; "
            f"give --threads {gpus} or more, or name the GPUs for one item on all of them (--device cuda:0,1)"
        )
    return replace(resources, split=split)


def read_bundle_size(given: str | int, job: Job) -> int:
    """Read a bundle size: a whole number, or ``auto`` for elements of about ten minutes, as ``job`` measured them."""
    if given == "auto":
        from pypcore.efficiency import measured_bundle_size

        return measured_bundle_size(job)
    try:
        return int(given)
    except ValueError as error:
        raise UsageError(f"bundle size '{given}' is not a whole number, nor auto") from error


def refresh(request: Request, options: Mapping[str, Any]) -> Request:
    """Return a frozen request as it is now: its auxiliary files looked at again, ``options`` of resources changed."""
    operation = get_operation(request.operation)
    params = operation.Parameters(**request.parameters)
    before, device = device_of(params), options.get("device")
    resources = request.resources
    if device is not None:
        if not isinstance(params, OnDevice):
            raise UsageError(f"{operation.name} has no parameter 'device'; only where it computes on GPUs too")
        params = _validate(operation, {**request.parameters, "device": device}, request.root)
        if resources.split == SplitResources.with_gpu(replace(resources.split, gres=()), read_device(before).least):
            resources = replace(resources, split=replace(resources.split, gres=()))  # asked for by the device alone
    resources = change_resources(resources, options)
    if isinstance(params, OnDevice):
        resources = _for_device(operation, params.device, resources, {})
    return replace(
        request,
        operation_version=operation.version,
        parameters=params.model_dump(mode="json"),
        auxiliary=_stat(operation.auxiliary(params)),
        resources=resources,
        policy=_policy(
            operation, vars(request.policy), {key: value for key, value in options.items() if value is not None}
        ),
    )


def change_resources(resources: Resources, options: Mapping[str, Any]) -> Resources:
    """Return ``resources`` with what ``options`` give of them."""
    return _resources(resources.to_dict(), {key: value for key, value in options.items() if value is not None})


def _resources(tables: Mapping[str, Any], given: Mapping[str, Any]) -> Resources:
    merged: dict[str, dict[str, Any]] = {phase: dict(table) for phase, table in tables.items()}
    for key, (phase, name) in RESOURCE_OPTIONS.items():
        if key in given:
            merged.setdefault(phase, {})[name] = given[key]
    return Resources.from_dict(merged)


def _policy(operation: Operation, table: Mapping[str, Any], given: Mapping[str, Any]) -> Policy:
    values = {**table, **{key: given[key] for key in POLICY_OPTIONS if key in given}}
    for key in ("item_timeout", "checkpoint"):
        if isinstance(values.get(key), str):
            values[key] = 0 if values[key].strip() == "0" else parse_walltime(values[key])
    policy = read_policy(values)
    for rule in policy.reject:
        Rule.parse(rule)
    if policy.reject and accumulates(operation):
        raise UsageError(f"{operation.name} adds its items up: none can be left out afterwards; leave out --reject")
    return policy


def _config(path: Path, operation: Operation) -> dict[str, Any]:
    """Read a ``pypcore.toml`` and check its keys and resources, so that an error names the file."""
    file = read_config(path)
    try:
        refuse_unknown(file.get("parameters", {}), operation.Parameters.model_fields, f"parameter of {operation.name}")
        Resources.from_dict(file.get("resources", {}))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return file


def _validate(operation: Operation, parameters: Mapping[str, Any], root: Path) -> Any:
    try:
        params = operation.Parameters(**parameters)
    except ValidationError as error:
        raise UsageError("; ".join(_in_words(fault) for fault in error.errors())) from error
    files = {key: Path(os.path.abspath(root / value)) for key, value in params if isinstance(value, Path)}
    return params.model_copy(update=files)


def _in_words(fault: Any) -> str:
    """Say a fault that pydantic found as ``pixel_size -1: should be greater than 0``."""
    message = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "missing":
        return f"{where} is needed: give --{where.replace('_', '-')}"
    return f"{where} {fault['input']!r}: {message}" if where else message


def _stat(files: Sequence[Path]) -> dict[str, list[int]]:
    found = {}
    for file in files:
        try:
            stat = file.stat()
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error
        found[str(file)] = [stat.st_size, stat.st_mtime_ns]
    return found


def _flat(file: Mapping[str, Any]) -> list[str]:
    keys = [*file.get("parameters", {}), *file.get("policy", {})]
    for option, (phase, name) in RESOURCE_OPTIONS.items():
        if name in file.get("resources", {}).get(phase, {}) and not option.startswith("split_"):
            keys.append(option)
    return keys
