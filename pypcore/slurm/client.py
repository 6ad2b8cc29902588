"""Talking with SLURM: the only place that starts its commands.

Commands run with a clean environment: what a surrounding job, a user's ``SQUEUE_FORMAT`` or a login node's
``CUDA_VISIBLE_DEVICES`` says must not reach ``sbatch`` (nor, through it, the job). ``SLURM_CONF`` stays: without it
a cluster configured elsewhere than in ``/etc`` can't be found. What SLURM says on stderr is never mixed into what
is parsed.
"""

import os
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pypcore.errors import SetupError, UsageError

QUEUE_FORMAT = "%F|%K|%T|%r|%N|%i"  # array or job, element, state, reason, nodes, id as shown
ACCOUNT_FORMAT = "JobID,State,ExitCode,NodeList"
NODE_FORMAT = "%N|%P|%t|%c|%m|%G|%C|%f"  # node, partition (default: *), state, CPUs, MiB, gres, CPUs in use, features

QUERY_TIMEOUT_S = 60.0
SUBMIT_TIMEOUT_S = 200.0  # where the queue is full sbatch itself tries for 120 s before it gives up
PAUSES_S = (2.0, 8.0, 30.0)  # before looking whether a submission got in after all, and submitting again

_OURS = re.compile(r"(SLURM|SLURMD|SBATCH|SALLOC|SRUN|SQUEUE|SINFO|SACCT|SCANCEL|SCONTROL)_")
_DEVICES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")

# The controller did not answer, or had no room: the same may work later, and a submission may have got in.
_NO_ANSWER = re.compile(
    r"Unable to contact|Socket timed out|Resource temporarily unavailable|temporarily unable|connect(ion)? failure"
    r"|Connection (refused|reset|timed out)|Communication connection|Zero Bytes|Unexpected message received"
    r"|Message (receive|send) failure|standby mode|Invalid authentication credential|[Aa]uthentication error|Munge",
)
_NO_CONFIGURATION = re.compile(r"resolve_ctls_from_dns_srv|configuration source|Unable to process configuration file")
_PREFIX = re.compile(r"^((sbatch|squeue|sacct|scancel|scontrol|sinfo): )?((fatal|error): )?", re.ASCII)


_OVER = re.compile("Invalid job id|already (completing|finished)")


class Missing(SetupError):
    """SLURM's commands, or its configuration, are not on this machine."""


class Unreachable(SetupError):
    """SLURM did not answer, or had no room; nothing is known, and the same may work later."""


class Rejected(UsageError):
    """SLURM answered no; asking again gives the same."""


@dataclass(frozen=True)
class Submitted:
    """What ``sbatch`` took in."""

    job_id: int
    cluster: str | None = None
    """The cluster's name where there are several: a later ``Client`` must be told."""
    said: str = ""
    """What ``sbatch`` had to say besides, on one line: a warning; with ``test_only`` where and when it could start."""


class Client:
    """SLURM's commands, each one call. Times out rather than waits for ever.

    All raise ``Missing`` (no SLURM here), ``Unreachable`` (no answer) and, where something is asked for and not
    only looked at, ``Rejected``, each with one line of SLURM's own words.
    """

    def __init__(
        self,
        *,
        cluster: str | None = None,
        timeout: float = QUERY_TIMEOUT_S,
        submit_timeout: float = SUBMIT_TIMEOUT_S,
        pauses: Sequence[float] = PAUSES_S,
    ) -> None:
        """Talk with ``cluster`` (where there are several), waiting ``timeout`` seconds at most for an answer."""
        self.cluster = cluster
        self.timeout = timeout
        self.submit_timeout = submit_timeout
        self.pauses = pauses

    # ---- submission

    def submit(self, script: Path, name: str) -> Submitted:
        """Submit once, though SLURM may say that it failed when it did not.

        ``name`` becomes the job's name and must be its own: after ``Socket timed out`` and the like the queue is
        looked through for it before anything is sent again.
        """
        if not re.fullmatch(r"[\w.+-]+", name, re.ASCII):
            raise ValueError(f"{name!r} can't be looked for in the queue: letters, digits, _ . + - only")
        trouble: Unreachable | None = None
        for pause in (0.0, *self.pauses):
            time.sleep(pause)
            try:
                if trouble and (found := self.queue_by_name(name)):
                    return Submitted(found[0], self.cluster, f"got in though sbatch said: {trouble}")
                return self.sbatch(script, name=name)
            except Unreachable as error:
                trouble = error
        raise Unreachable(f"{trouble}; if it got in all the same, this ends it: scancel --name={name}") from None

    def sbatch(self, script: Path, *, name: str | None = None, test_only: bool = False) -> Submitted:
        """Submit a script, as it is and once; with ``test_only`` ask whether it would be taken, queue nothing."""
        options = ["--test-only"] if test_only else ["--parsable"]
        if name:
            options.append(f"--job-name={name}")
        # In the user's own locale, as the job gets this environment.
        told = self._run("sbatch", *options, str(script), timeout=self.submit_timeout, environment=self._environment())
        said = _one_line(told.stderr)
        found = (
            re.search(r"Job (\d+) to start", said) if test_only else re.search(r"^(\d+)(?:;(\S+))?$", told.stdout, re.M)
        )
        if told.returncode or found is None:
            raise _error("sbatch", told)
        return Submitted(int(found[1]), self.cluster if test_only else found[2] or self.cluster, said)

    # ---- looking

    def squeue(self, ids: Iterable[int]) -> str:
        """Return a line (``QUEUE_FORMAT``) for each element of these jobs that SLURM still knows, ended ones too."""
        told = self._query("squeue", "-h", "-r", "-t", "all", "-j", _list(ids), "-o", QUEUE_FORMAT)
        if told.returncode and "Invalid job id" in told.stderr:
            return ""  # what all of them get once they are purged, MinJobAge after their end
        return _answer("squeue", told)

    def queue_by_name(self, name: str) -> list[int]:
        """Return the ids of the jobs of this name that SLURM still knows, oldest first."""
        told = self._query("squeue", "-h", "-t", "all", "-n", name, "-o", "%F")
        return sorted({int(line) for line in _answer("squeue", told).split() if line.isdecimal()})

    def sacct(self, ids: Iterable[int]) -> str | None:
        """Return a line (``ACCOUNT_FORMAT``) for each element known to the accounting; None where there is none."""
        try:
            told = self._query("sacct", "-X", "-n", "-P", "-j", _list(ids), "-o", ACCOUNT_FORMAT)
        except Missing:
            return None
        if told.returncode and "accounting storage is disabled" in told.stderr:
            return None
        return _answer("sacct", told)

    def sinfo(self) -> str:
        """Return a line (``NODE_FORMAT``) for each node in each partition."""
        return _answer("sinfo", self._query("sinfo", "-h", "-N", "-o", NODE_FORMAT))

    def scontrol_show(self, what: str) -> str:
        """Return what ``scontrol show`` says of ``config``, ``partition``, ``node``, ``job 12``: one line each."""
        told = self._query("scontrol", "-o", "show", *what.split())
        if told.returncode:
            raise _error("scontrol", told)
        return told.stdout

    # ---- changing

    def scancel(self, what: Iterable[int | str]) -> None:
        """End jobs and elements (``127``, ``"127_3"``, ``"127_[3-5]"``); those that have ended are passed over."""
        names = [str(one) for one in what]
        for start in range(0, len(names), 1000):
            told = self._query("scancel", *names[start : start + 1000])
            if told.returncode and not _OVER.search(told.stderr):
                raise _error("scancel", told)

    def signal(self, what: int | str, number: int) -> None:
        """Send a signal to the batch process of a job or element; one that has ended is passed over."""
        told = self._query("scancel", f"--signal={number}", "--batch", str(what))
        # Of one that waits it says nothing, and fails.
        if told.returncode and told.stderr.strip() and not _OVER.search(told.stderr):
            raise _error("scancel", told)

    def update(self, job: int | str, **fields: str | int) -> None:
        """Change a job or element: ``update(12, ArrayTaskThrottle=5)``."""
        told = self._query("scontrol", "update", f"JobId={job}", *(f"{key}={value}" for key, value in fields.items()))
        # Of an array some of whose elements have ended: the others were changed, though it reads as a failure.
        if told.returncode and "already finished" not in told.stderr:
            raise _error("scontrol", told)

    # ---- how

    def _environment(self) -> dict[str, str]:
        inside_a_job = "SLURM_JOB_ID" in os.environ
        kept = {"SLURM_CONF"} if inside_a_job else {"SLURM_CONF", "SLURM_CLUSTERS"}
        clean = {k: v for k, v in os.environ.items() if k in kept or not (_OURS.match(k) or k in _DEVICES)}
        return clean | ({"SLURM_CLUSTERS": self.cluster} if self.cluster else {})

    def _query(self, *command: str) -> "subprocess.CompletedProcess[str]":
        # BITSTR_LEN: long lists of elements are not cut short.
        environment = self._environment() | {"LC_ALL": "C", "SLURM_BITSTR_LEN": "0"}
        return self._run(*command, timeout=self.timeout, environment=environment)

    def _run(self, *command: str, timeout: float, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        configuration = environment.get("SLURM_CONF")
        if configuration and not Path(configuration).is_file():  # SLURM would look for it in the network, for a minute
            raise Missing(f"{configuration}: no such file, and SLURM_CONF names it as SLURM's configuration")
        try:
            return subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout,
            )
        except FileNotFoundError:
            raise Missing(f"{command[0]}: not on PATH: no SLURM here; `pypcore run` needs none") from None
        except subprocess.TimeoutExpired:
            raise Unreachable(f"SLURM did not answer: {command[0]} took longer than {timeout:g} s") from None


def _list(ids: Iterable[int]) -> str:
    return ",".join(map(str, ids))


def _answer(program: str, told: "subprocess.CompletedProcess[str]") -> str:
    """Return what a query answered; whatever is wrong with it, nothing is known."""
    if told.returncode:
        error = _error(program, told)
        raise Unreachable(str(error)) if isinstance(error, Rejected) else error
    return told.stdout


def _error(program: str, told: "subprocess.CompletedProcess[str]") -> SetupError | UsageError:
    """Make the error that a failed command's words stand for."""
    said = _one_line(told.stderr or told.stdout) or f"exit status {told.returncode} and no word why"
    if _NO_CONFIGURATION.search(said):
        return Missing(f"SLURM's commands are here, but not its configuration (SLURM_CONF); {program} said: {said}")
    if _NO_ANSWER.search(said):
        return Unreachable(f"SLURM did not answer; {program} said: {said}")
    return Rejected(f"SLURM refused; {program} said: {said}")


def _one_line(text: str) -> str:
    """Put what a command said on one line, each sentence once, without the names in front."""
    lines = (_PREFIX.sub("", line.strip()) for line in text.splitlines())
    return "; ".join(dict.fromkeys(line for line in lines if line))
