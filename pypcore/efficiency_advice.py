"""What to do about how a job used what it asked for: sentences, the most worth first."""

from collections.abc import Iterator

from pypcore.efficiency import Efficiency, PhaseUse
from pypcore.resources import MIB_PER_GB, describe_walltime

_LITTLE = 0.5  # of the memory that was asked
_SHORT = 0.25  # of the walltime
_BUSY = 0.9
_BRIEF_S = 60.0  # an element of less costs more to start than it does
_OTHER = 3  # times that the bundle size may be off


def advise(found: Efficiency) -> list[str]:
    """Return what to do, a sentence each; one that says so where there is nothing to do."""
    said = [text for phase in found.phases for text in _of_phase(phase)]
    said += list(_of_bundles(found))
    return said or ["What was asked fits what was used: nothing to change"]


def _of_phase(phase: PhaseUse) -> Iterator[str]:
    name, memory, threads, walltime = phase.phase, phase.memory, phase.threads, phase.walltime
    options = {flag.split()[0].removeprefix("--").rpartition("-")[2]: flag for flag in phase.flags}
    if phase.broken:
        yield (
            f"{name}: {phase.broken} ended for going over memory or walltime; resume with more, as below "
            "(on SLURM resume gives them more by itself)"
        )
    if memory.share < _LITTLE:
        most, asked = memory.most / MIB_PER_GB, memory.asked / MIB_PER_GB
        yield (
            f"{name}: a task asks {asked:.3g} GB and took {most:.2g} GB at most; with {options['memory']} more run at "
            "once, and start earlier"
        )
    if threads.enough < threads.asked:
        yield (
            f"{name}: of {threads.asked:g} threads {threads.high:.2g} were busy; {options['threads']} leaves the "
            "others for more tasks"
        )
    elif phase.cpu_share > _BUSY and phase.tasks > 1:
        yield f"{name}: its threads are busy {phase.cpu_share:.0%} of the time: more of them may make an item quicker"
    if walltime.share < _SHORT and walltime.enough < walltime.asked:
        yield (
            f"{name}: asks {describe_walltime(round(walltime.asked))} and took {_time(walltime.most)} at most; "
            f"a short request starts earlier: {options['walltime']}"
        )


def _of_bundles(found: Efficiency) -> Iterator[str]:
    asked, better = found.bundle_size_asked, found.bundle_size
    if better >= _OTHER * asked and asked * found.seconds_per_item < _BRIEF_S:
        yield (
            f"An item takes {_time(found.seconds_per_item)}: on SLURM an element of {asked} costs more to start than "
            f"to do; --bundle-size {better} makes it about {_time(better * found.seconds_per_item)}"
        )
    elif asked >= _OTHER * better:
        yield (
            f"A bundle of {asked} takes {_time(asked * found.seconds_per_item)}: where its walltime ends, so much is "
            f"at stake; --bundle-size {better} makes it about {_time(better * found.seconds_per_item)}"
        )


def _time(seconds: float) -> str:
    return f"{seconds:.2g} s" if seconds < 60 else describe_walltime(round(seconds))
