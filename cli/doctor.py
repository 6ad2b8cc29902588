"""``pypcore doctor``: what this machine and its cluster can do, and what to do about what they can't."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from pypcore.checkup import AMBER, GREEN, RED, Finding, look_here
from pypcore.cli.common import JsonOption, console, duration, print_json
from pypcore.errors import SetupError, UsageError
from pypcore.machine import this_machine
from pypcore.programs.check import programs
from pypcore.programs.start import find_file, find_start
from pypcore.resources import format_memory, format_walltime
from pypcore.slurm.client import Client, Missing
from pypcore.slurm.cluster import Cluster, Node, Partition, read_cluster
from pypcore.slurm.preflight import largest_elements
from pypcore.slurm.template import IN_PROJECT, OF_USER, find_site, read_template

COLOUR = {GREEN: "green", AMBER: "yellow", RED: "red"}
RELION = "relion_run_motioncorr"

app = typer.Typer(add_completion=False)


@app.command()
def doctor(json: JsonOption = False) -> None:
    """Say what jobs can use here: this machine, and the SLURM cluster, partition by partition.

    Exit code: 0 ready (SLURM may be absent), 3 something is broken, and the red line says what to do.
    """
    findings, cluster = look(Client())
    if json:
        print_json({"schema": 1, "findings": list(map(asdict, findings)), "cluster": _to_dict(cluster)})
    else:
        out = console()
        for one in findings:
            todo = f" [bold]->[/bold] {escape(one.do)}" if one.do else ""
            out.print(f"[{COLOUR[one.level]}]{one.level:5}[/]  {one.what}: {escape(one.found)}{todo}")
        out.print(_verdict(findings, cluster is not None))
    if any(one.level == RED for one in findings):
        raise typer.Exit(SetupError.exit_code)


def _verdict(findings: list[Finding], cluster: bool) -> str:
    """Say in a line what can be done here now."""
    red = [one.what for one in findings if one.level == RED]
    if red:
        return f"[red]To mend first: {escape(', '.join(red))}[/red]"
    todo = sum(bool(one.do) for one in findings)
    more = f"; {todo} lines say what would be better" if todo else ""
    return f"Ready for run{', submit' if cluster else ''} and watch{more}"


def look(client: Client) -> tuple[list[Finding], Cluster | None]:
    """Look at this machine and ask SLURM; the cluster is None where there is none or it doesn't answer."""
    findings = [*_this_machine(), _template(Path.cwd())]
    try:
        cluster = read_cluster(client)
    except Missing as error:
        found = f"no SLURM here ({error})" if shutil.which("sbatch") else "no SLURM here"
        return [*findings, Finding(AMBER, "SLURM", f"{found}: run works, submit doesn't")], None
    except (SetupError, UsageError) as error:
        do = "wait, or ask the cluster's administrators; run works meanwhile"
        return [*findings, Finding(RED, "SLURM", str(error), do)], None
    return [*findings, *_of_cluster(cluster)], cluster


# ---- here -----------------------------------------------------------------------------------------------


def _this_machine() -> Iterator[Finding]:
    yield Finding(GREEN, "Python", f"{sys.version.split()[0]}, {sys.executable}")
    machine = this_machine(with_gpus=True)
    models = [gpu.model for gpu in machine.gpus]
    gpus = ", ".join(f"{models.count(model)} x {model}" for model in dict.fromkeys(models)) or "no GPU"
    yield Finding(GREEN, "this machine", f"{len(machine.cores)} threads, {format_memory(machine.memory)}, {gpus}")
    yield from look_here(Path.cwd())
    relion = shutil.which(RELION)
    yield Finding(GREEN, "RELION", f"{relion or 'not on PATH'}{'' if relion else '; no job needs it'}")
    yield _programs(Path.cwd())


def _programs(project: Path) -> Finding:
    """Name the programs of others that can be started; ``pypcore programs`` asks them."""
    known, found = programs(), []
    for name, cards in known.items():
        try:
            find_start(name, project).executable(cards[0].program)
        except SetupError as error:
            if find_file(project) and str(error).startswith(str(find_file(project))):
                return Finding(RED, "programs", str(error), "mend the file")
            continue
        found.append(name)
    more = f"{len(known) - len(found)} others are not here; pypcore programs says more"
    return Finding(GREEN, "programs", f"{', '.join(found) or 'none of those that others wrote'}; {more}")


def _template(project: Path) -> Finding:
    file = find_site(None, project)
    if file is None:
        return Finding(
            GREEN, "site template", f"none ({IN_PROJECT} here, or ~/{OF_USER}); submit takes it from options"
        )
    try:
        read_template(file)
    except UsageError as error:
        return Finding(RED, "site template", str(error), "mend the file, or submit stops at it")
    return Finding(GREEN, "site template", str(file))


# ---- the cluster ----------------------------------------------------------------------------------------


def _of_cluster(cluster: Cluster) -> Iterator[Finding]:
    limits = cluster.limits
    yield Finding(GREEN, "SLURM", f"{limits.version}, cluster {limits.name}: the controller answers")
    if not cluster.partitions:
        yield Finding(RED, "partitions", "none that you may see", "ask the cluster's administrators for access")
    elif cluster.default_partition is None:
        yield Finding(AMBER, "partitions", "none is the default", "give --partition, or set it in the site template")
    for partition in cluster.partitions.values():
        yield _partition(cluster, partition)
    if limits.max_array_size == 0:
        yield Finding(RED, "arrays", "switched off (MaxArraySize 0)", "ask the administrators; Split is an array")
    else:
        yield Finding(
            GREEN,
            "arrays",
            f"{limits.max_array_size} elements each (MaxArraySize; longer jobs become several), "
            f"{largest_elements(cluster)} a job (MaxJobCount {limits.max_job_count}, everybody's together)",
        )
    yield _accounting(cluster)


def _accounting(cluster: Cluster) -> Finding:
    age = cluster.limits.min_job_age
    kept = f"SLURM itself forgets a job {duration(age)} after its end" if age else "SLURM itself keeps ended jobs"
    if cluster.limits.accounting:
        return Finding(GREEN, "sacct", f"there is accounting; {kept}")
    return Finding(
        AMBER,
        "sacct",
        f"no accounting here; {kept}. Nothing is lost, as records say what is done, but of an element that died "
        "unseen the cause (memory, time, node) is then known from its log alone",
        "have pypcore status --watch look while a job runs",
    )


def _partition(cluster: Cluster, partition: Partition) -> Finding:
    nodes = cluster.nodes_of(partition.name)
    usable = [node for node in nodes if node.usable]
    name = f"partition {partition.name}{' (default)' if partition.default else ''}"
    found = "; ".join([f"{len(usable)} of {len(nodes)} nodes usable", *_offers(cluster, partition, usable or nodes)])
    if partition.state != "UP":
        return Finding(AMBER, name, f"{partition.state}; {found}", "use another partition until it is up")
    if not usable:
        down = next((f" ({node.name} is {node.state}: {node.reason or 'no reason given'})" for node in nodes), "")
        return Finding(AMBER, name, f"{found}{down}", "use another partition until its nodes are back")
    return Finding(GREEN, name, found)


def _offers(cluster: Cluster, partition: Partition, nodes: list[Node]) -> Iterator[str]:
    time = "no limit of time" if partition.max_time is None else f"at most {format_walltime(partition.max_time)}"
    yield time
    if nodes:
        cpus = min(max(node.cpus for node in nodes), partition.max_cpus_per_node or 2**31)
        memory = min(max(node.memory for node in nodes), partition.max_memory_per_node or 2**62)
        yield f"up to {cpus} threads and {format_memory(memory)} on a node"
    if partition.max_memory_per_cpu:
        yield f"at most {format_memory(partition.max_memory_per_cpu)} a thread"
    gres = [f"{kind}:{count}" for kind, count in cluster.gres_of(partition.name).items()]
    yield f"gres on a node: {', '.join(gres)}" if gres else "no gres"
    if features := sorted({feature for node in nodes for feature in node.features}):
        yield f"features: {', '.join(features)}"
    if not partition.open_to_all:
        yield "not open to everybody"


def _to_dict(cluster: Cluster | None) -> dict[str, Any] | None:
    if cluster is None:
        return None
    return {
        "limits": asdict(cluster.limits),
        "partitions": [
            {
                "name": partition.name,
                "default": partition.default,
                "state": partition.state,
                "max_time_s": partition.max_time,
                "nodes": len(cluster.nodes_of(partition.name)),
                "nodes_usable": sum(node.usable for node in cluster.nodes_of(partition.name)),
                "gres": cluster.gres_of(partition.name),
            }
            for partition in cluster.partitions.values()
        ],
    }
