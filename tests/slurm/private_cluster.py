"""A real SLURM cluster of our own, on this machine alone: munged, slurmctld and a slurmd for each node, fake GPUs.

Needs Debian's ``slurm-wlm`` and ``munge``, no root, no file outside its folder, nothing listens but on 127.0.0.1. The
daemons stay in the foreground as children that the kernel ends with us, so that nothing is left when a test run is
killed. What is not like a real cluster: all nodes share this machine's cores and memory, CPUs aren't bound, devices
aren't fenced; a node claims more than there is.
"""

import contextlib
import getpass
import os
import re
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

NODES = {"n1": "gpu:H100:4", "n2": "gpu:A100:4", "n3": ""}  # name -> gres
CPUS, MEMORY_MIB = 8, 16000  # that each node claims
_NODE = "PYPCORE_PRIVATE_NODE"  # tells the keepers of jobs (slurmstepd), which have it from their slurmd
_SBIN = ":/usr/sbin:/usr/local/sbin:/sbin"
_OURS = re.compile(r"(SLURM|SLURMD|SBATCH|SALLOC|SRUN|SQUEUE|SINFO|SACCT|SCANCEL|SCONTROL|MUNGE)_")


def wait_until(what: str, true: Callable[[], object], timeout: float = 60.0, pause: float = 0.1) -> None:
    """Return once ``true()`` is; fail after ``timeout`` seconds."""
    end = time.monotonic() + timeout
    while not true():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s in vain for: {what}")
        time.sleep(pause)


class PrivateCluster:
    """One cluster, in a folder of its own. ``options`` are parameters of slurm.conf, over those set here."""

    def __init__(self, folder: Path, cpus: int = CPUS, **options: str | int) -> None:
        self.folder = folder
        self.configuration = folder / "etc" / "slurm.conf"
        self._path = os.environ["PATH"] + _SBIN  # as it is now: a test may put other commands in front
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}
        for part in ("etc", "state", "log", "run", "dev", *(f"spool/{node}" for node in NODES)):
            (folder / part).mkdir(parents=True)
        self._configure(cpus, options)

    # ---- from start to end

    def start(self) -> None:
        """Start everything; on return all nodes are idle."""
        socket_file, folder = self.folder / "run/munge.sock", self.folder
        self._spawn(
            "munged",
            "munged",
            "--foreground",
            "--force",  # takes a folder that others can't enter
            f"--key-file={folder}/etc/munge.key",
            f"--socket={socket_file}",
            f"--pid-file={folder}/run/munged.pid",
            f"--log-file={folder}/log/munged.log",
            f"--seed-file={folder}/etc/munge.seed",
        )
        self._wait("munged", lambda: not self.run("munge", "-n", "-S", str(socket_file)).returncode, 20)
        self.start_controller(clean=True)
        for node in NODES:
            self.start_node(node, wait=False)
        self.wait_for_nodes()

    def stop(self) -> None:
        """End every job and daemon, gently where they listen."""
        if self._alive("slurmctld"):
            self.run("scancel", "--user", getpass.getuser())
            self.run("scancel", "--full", "--signal=KILL", "--user", getpass.getuser())
            with contextlib.suppress(AssertionError):  # what clings is killed below
                wait_until("jobs to end", lambda: not self.squeue("-t", "R,CG,S"), 5)
        for name in reversed(list(self._daemons)):
            self._end(name)
        for _ in range(20):
            if not (left := list(self._ours())):
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)
        raise AssertionError(f"still running: {left}")

    def clean(self) -> None:
        """Make it as it was at the start, but for job ids: all daemons up, nodes idle, nothing queued."""
        self.start_controller()
        self.run("scancel", "--user", getpass.getuser())
        for node in NODES:
            self.start_node(node, wait=False)
            if not re.match("idle|mix|alloc|comp", self.node_states().get(node, "")):
                self.run("scontrol", "update", f"NodeName={node}", "State=RESUME")
        wait_until("an empty queue", lambda: not self.squeue("-t", "PD,R,CG,S"), 90)
        self.wait_for_nodes()

    # ---- asking

    @property
    def environment(self) -> dict[str, str]:
        """What its commands need, and nothing of another cluster's or a surrounding job's."""
        clean = {key: value for key, value in os.environ.items() if not _OURS.match(key)}
        return clean | {"SLURM_CONF": str(self.configuration), "PATH": self._path}

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run one of SLURM's commands."""
        return subprocess.run(
            command, env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )

    def squeue(self, *options: str) -> list[str]:
        """List ``id state reason node`` of each element in the queue."""
        return self.run("squeue", "-h", "-r", "-o", "%i %T %r %N", *options).stdout.splitlines()

    def show(self, job: int | str) -> dict[str, str]:
        """Return what ``scontrol show job`` says."""
        words = self.run("scontrol", "-o", "show", "job", str(job)).stdout.split()
        return dict(word.split("=", 1) for word in words if "=" in word)

    def node_states(self) -> dict[str, str]:
        """Return the state of each node."""
        lines = self.run("sinfo", "-h", "-N", "-p", "main", "-o", "%N %t").stdout.splitlines()
        return {line.split()[0]: line.split()[1] for line in lines}

    def wait_for_nodes(self, state: str = "idle", nodes: tuple[str, ...] = tuple(NODES)) -> None:
        """Wait until these nodes are in this state."""
        self._wait("slurmctld", lambda: all(self.node_states().get(node) == state for node in nodes), 60)

    # ---- trouble

    def start_controller(self, *, clean: bool = False) -> None:
        """Start the controller where it doesn't run."""
        if not self._alive("slurmctld"):
            self._spawn("slurmctld", "slurmctld", "-D", *(["-c"] if clean else []))
        self._wait("slurmctld", lambda: not self.run("scontrol", "ping").returncode, 30)

    def stop_controller(self) -> None:
        """An outage: jobs go on, commands fail."""
        self._end("slurmctld")

    def start_node(self, node: str, *, wait: bool = True) -> None:
        """Start a node's daemon where it doesn't run."""
        if not self._alive(node):
            self._spawn(node, "slurmd", "-D", "-N", node, node=node)
        if wait:
            self.wait_for_nodes(nodes=(node,))

    def kill_node(self, node: str) -> None:
        """A crash: the daemon and all that runs on the node are gone at once."""
        for pid in [self._daemons[node].pid, *self._ours(node)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._daemons.pop(node).wait()

    def down(self, node: str) -> None:
        """Set a node DOWN: its jobs end with NODE_FAIL, or are requeued, at once. ``clean`` brings it back."""
        for state in ("DOWN", "DRAIN"):  # its daemon lives: SLURM would soon take it back, but not while it drains
            done = self.run("scontrol", "update", f"NodeName={node}", f"State={state}", "Reason=test")
            assert not done.returncode, done.stderr

    # ---- how

    def _spawn(self, name: str, *command: str, node: str = "") -> None:
        with (self.folder / "log" / f"{name}.out").open("ab") as out:
            self._daemons[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *command],
                env=self.environment | ({_NODE: node} if node else {}),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def _alive(self, name: str) -> bool:
        return name in self._daemons and self._daemons[name].poll() is None

    def _end(self, name: str) -> None:
        daemon = self._daemons.pop(name)
        daemon.terminate()
        try:
            daemon.wait(15)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _wait(self, name: str, true: Callable[[], object], timeout: float) -> None:
        """Wait for what daemon ``name`` must do; a failure shows the end of its log."""
        try:
            wait_until(name, lambda: not self._alive(name) or true(), timeout)
            assert self._alive(name), f"{name} ended"
        except AssertionError as error:
            log = (self.folder / "log" / f"{name}.out").read_text(errors="replace")
            raise AssertionError(f"{error}\n{log[-2000:]}") from None

    def _ours(self, node: str = "") -> Iterator[int]:
        """List the processes of this cluster's jobs and their keepers, of one node or all."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
                dead = (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
            except OSError:
                continue
            there = dict(word.partition("=")[::2] for word in words)
            at = there.get(_NODE) or there.get("SLURMD_NODENAME")
            if not dead and there.get("SLURM_CONF") == str(self.configuration) and at and node in ("", at):
                yield int(folder.name)

    def _configure(self, cpus: int, options: dict[str, str | int]) -> None:
        folder, host, user = self.folder, socket.gethostname().split(".")[0], getpass.getuser()
        (folder / "etc/munge.key").write_bytes(os.urandom(1024))
        (folder / "etc/munge.key").chmod(0o400)
        controller, *ports = _free_ports(1 + len(NODES))
        parameters: dict[str, str | int] = {
            "ClusterName": "private",
            "SlurmctldHost": f"{host}(127.0.0.1)",
            "SlurmctldPort": controller,
            "CommunicationParameters": "NoInAddrAny,NoCtldInAddrAny",  # 127.0.0.1, not every address
            # Credentials that live 10 s, not 120: as long as that a requeued job is kept waiting.
            "AuthInfo": f"socket={folder}/run/munge.sock,cred_expire=10",
            "SlurmUser": user,
            "SlurmdUser": user,
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool/%n",
            "SlurmctldPidFile": folder / "run/slurmctld.pid",
            "SlurmdPidFile": folder / "run/%n.pid",
            "MailProg": "/bin/true",
            "ProctrackType": "proctrack/linuxproc",
            "TaskPlugin": "task/none",
            "SwitchType": "switch/none",
            "MpiDefault": "none",
            "PropagateResourceLimits": "NONE",
            "ReturnToService": 2,
            "SlurmdParameters": "config_overrides",  # claim more than there is
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core_Memory",
            "DefMemPerCPU": 100,
            "SchedulerParameters": "batch_sched_delay=0,sched_interval=1,bf_interval=1",
            "GresTypes": "gpu",
            "JobAcctGatherType": "jobacct_gather/linux",  # looks each second, and ends what uses too much memory
            "JobAcctGatherFrequency": "task=1",
            "JobAcctGatherParams": "OverMemoryKill",
            "AccountingStorageType": "accounting_storage/none",
            "KillWait": 2,
            "MessageTimeout": 5,  # how long a command tries where there is no controller, nearly
            "SlurmdTimeout": 10,
        }
        lines = [f"{key}={value}" for key, value in (parameters | options).items()]
        gres = ["AutoDetect=off"]
        for (node, has), port in zip(NODES.items(), ports, strict=True):
            there = f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus}"
            lines.append(f"{there} RealMemory={MEMORY_MIB} State=UNKNOWN" + (f" Gres={has}" if has else ""))
            if has:
                name, kind, count = has.split(":")
                for index in range(int(count)):
                    _fake_device(folder / f"dev/{node}_{index}")
                files = f"{folder}/dev/{node}_[0-{int(count) - 1}]"
                gres.append(f"NodeName={node} Name={name} Type={kind} File={files}")
        everywhere = ",".join(NODES)
        lines.append(f"PartitionName=main Nodes={everywhere} Default=YES DefaultTime=60 MaxTime=7-00:00:00 State=UP")
        lines.append("PartitionName=short Nodes=n1 DefaultTime=5 MaxTime=10 State=UP")
        self.configuration.write_text("\n".join(lines) + "\n")
        (folder / "etc/gres.conf").write_text("\n".join(gres) + "\n")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _fake_device(path: Path) -> None:
    """Make a copy of /dev/null: SLURM takes devices only; who may not make one makes a link."""
    try:
        os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        path.symlink_to("/dev/null")
