"""A program's operation: the engine's three verbs, done as a card says; a subclass adds code where data end."""

import dataclasses
import functools
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pypcore.devices import gpu_numbers, visible_gpus
from pypcore.errors import InputError, SetupError, UsageError
from pypcore.items import Item, find_files
from pypcore.operation import Context, Done, Result
from pypcore.programs.card import SUFFIXES, WORD, Card, Output
from pypcore.programs.devices import spell_devices
from pypcore.programs.extra import read_extra
from pypcore.programs.outputs import BadOutput, find_output, wanted
from pypcore.programs.parameters import write_option
from pypcore.programs.process import Ended, Listening, ProgramError, run, surroundings
from pypcore.programs.start import IN_PROJECT, Start, find_start
from pypcore.programs.task import Task
from pypcore.programs.verdict import ALWAYS_FATAL, refuse_failure


class Adapter:
    """The operation that a card describes."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.name = card.name

    # -- what a subclass may say

    def rules(self, params: Any) -> None:
        """Raise ValueError for parameters that don't go together."""

    def check_item(self, item: Item, params: Any) -> None:
        """Raise InputError where an item can't be used; for a data set this is all that Split does."""

    def lay_in(self, task: Task) -> None:
        """Put what the program needs into the task's folder; ``task.inputs`` get the items' names there."""
        only = len(task.items) == 1
        for item in task.items:
            suffix = item.path.suffix.lower()
            name = f"in{suffix}" if only else f"in/{item.name}{suffix}"
            task.inputs.append(task.linked(item.path, name))
        for option in self.card.options:
            if option.type == "file" and getattr(task.params, option.name) is not None:
                task.words[option.name] = task.shown(getattr(task.params, option.name), option.name.replace("_", "-"))

    def steps(self, task: Task) -> Iterator[list[str]]:
        """Yield the commands, one after another."""
        for step in self.card.steps:
            yield self.fill(step, task)

    def product_name(self, item: Item, params: Any) -> str:
        """Return what an item's products are called."""
        return item.name

    def stdin(self, task: Task) -> Path | None:
        """Return a file of answers for a program that asks; None: it finds its standard input closed."""
        return None

    def take(self, task: Task, found: dict[str, Path]) -> dict[str, Path]:
        """Put what was left into the job; return products by kind."""
        return {kind: self.keep(task, kind, path) for kind, path in found.items()}

    def tables(self, done: Sequence[Done], params: Any, context: Context) -> dict[str, Path]:
        """Write the tables of all items, besides the plain one."""
        return {}

    # -- the engine's verbs

    @property
    def merges(self) -> bool:
        """Say whether the program runs in Merge, once for the whole data set, and not in Split for each item."""
        return self.card.per == "data-set"

    def needs_gpu(self, params: Any) -> bool:
        """Say whether a task needs a GPU: always, or unless it is told --device cpu."""
        need = self.card.devices.need
        return need == "always" or (need == "can" and params.device == "cuda")

    def most_gpus(self, params: Any) -> int | None:
        """Return how many GPUs a task can use; None for any number."""
        if not self.needs_gpu(params):
            return 0
        return self.card.devices.most or None

    def auxiliary(self, params: Any) -> list[Path]:
        """List the files that options name, and a card that is not ours: they decide the result."""
        files = [getattr(params, option.name) for option in self.card.options if option.type == "file"]
        files += [self.card.file] if not self.card.file.is_relative_to(Path(__file__).parent) else []
        return [file for file in files if file is not None]

    def discover(self, params: Any, inputs: list[str], root: Path) -> list[Path]:
        """Return the files that ``inputs`` name; a STAR file stands for those in it, where it isn't itself the item."""
        if self.card.takes == "particles":
            return find_files(inputs, SUFFIXES["particles"], root)
        from pypcore.programs.inputs import files_of

        halves = any(option.name == "halves" for option in self.card.options)
        named = [file for given in inputs for file in files_of(given, self.card.takes, root, halves=halves)]
        return find_files(named, SUFFIXES[self.card.takes], root)

    def check(self, params: Any, items: Sequence[Item]) -> None:
        """Refuse weights that are not what the card knows by sum, and inputs none of which can be used."""
        for weights in self.card.weights:
            path = getattr(params, weights.option)
            if (
                path is None
                and not self.card.option(weights.option).choices
                and not find_start(self.card.program.name, Path.cwd()).weights.get(weights.option)
            ):
                flag = weights.option.replace("_", "-")
                raise UsageError(
                    f"{self.name} needs its weights: give --{flag} FILE, or name them for everybody in "
                    f"{IN_PROJECT}: [{self.card.program.name}] weights.{weights.option}. {weights.get}".rstrip()
                )
        failed: InputError | None = None
        for item in items[:5]:
            try:
                self.check_item(item, params)
                return
            except InputError as error:
                failed = failed or error
        if failed is not None:
            raise UsageError(str(failed)) from failed

    def disk(self, params: Any, item: Item) -> int:
        """Estimate the bytes of the products: about as many as the item has."""
        return 0 if self.merges else item.size

    def process(self, item: Item, params: Any, context: Context) -> Result:
        """Run the program on one item; for a data set only look whether the item can be used."""
        self.check_item(item, params)
        if self.merges:
            return Result(figures={"bytes": item.size})
        return self.work([item], params, context)

    def finish(self, done: Iterable[Done], params: Any, context: Context) -> Result:
        """Run the program on the data set, or write the tables of what Split made."""
        finished = list(done)
        if self.merges:
            return self.work([one.item for one in finished], params, context)
        from pypcore.programs.tables import write_tables

        products = write_tables(self.card, finished, context) | self.tables(finished, params, context)
        return Result(products, {"items": len(finished)})

    # -- one call

    def work(self, items: Sequence[Item], params: Any, context: Context) -> Result:
        """Run the steps in a private folder, hold them to the rules, keep what they left."""
        folder = context.scratch / (f"i{items[0].index}" if not self.merges else "all")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            task = self._task(items, params, context, folder)
            self.lay_in(task)
            self._probe_gpu(task)
            began = time.time_ns()
            for step in self.steps(task):
                self.call(task, step)
            found = self._found(task, began)
            products = self.take(task, found)
            return Result(products, {"program": self.card.program.name, **task.figures})
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _probe_gpu(self, task: Task) -> None:
        """Ask a program's own interpreter whether it finds the GPU, for a program that would not say so itself."""
        program = self.card.program
        if not program.gpu_probe or not task.devices or getattr(task.params, "allow_cpu_fallback", False):
            return
        python = task.start.interpreter(program)
        if python is None:
            task.context.log.warning("%s: no python beside it to ask whether it finds its GPU", program.name)
            return
        environment = task.start.clean(surroundings(os.environ, 1, task.devices, task.folder))
        ended = run(
            task.start.command([python, "-c", program.gpu_probe], [task.folder]), task.folder, environment, Listening()
        )
        if ended.code:
            raise ProgramError(
                f"{program.name} was given a GPU and does not find it, so it would compute on the CPU: "
                f"{ended.last_words or 'its PyTorch sees none'}; mend its installation, or give --device cpu"
            )

    def _task(self, items: Sequence[Item], params: Any, context: Context, folder: Path) -> Task:
        start = find_start(self.card.program.name, context.root)
        devices = visible_gpus() if self.needs_gpu(params) else []
        if self.needs_gpu(params) and len(devices) != len(context.devices):
            raise SetupError(
                f"{self.name}: this task was given {len(context.devices)} GPUs, and CUDA_VISIBLE_DEVICES names "
                f"{len(devices)}: '{os.environ.get('CUDA_VISIBLE_DEVICES', '')}'"
            )
        task = Task(self.card, self._with_weights(params, start), context, items, folder, start, devices)
        if self.card.program.version or self.card.program.distribution:
            from pypcore.programs.version import known_version

            task.figures["program_version"] = known_version(self.card.program, start, context.log)
        for weights in self.card.weights:
            path = getattr(task.params, weights.option)
            task.figures[f"{weights.option}_sha256"] = _sum_of(path, path.stat().st_mtime_ns)
        return task

    def _with_weights(self, params: Any, start: Start) -> Any:
        """Return the parameters with the site's weights where none were given, and models out of jobs."""
        from pypcore.programs.inputs import model_of

        updates = {
            weights.option: Path(start.weights[weights.option])
            for weights in self.card.weights
            if getattr(params, weights.option) is None and weights.option in start.weights
        }
        for option in self.card.options:
            path = updates.get(option.name, getattr(params, option.name))
            if option.name == "model" and path is not None:
                updates[option.name] = model_of(path)
        return params.model_copy(update=updates)

    def fill(self, step: Sequence[Any], task: Task) -> list[str]:
        """Return a step's words with the task's values; a group of words goes where a value in it is not given."""
        words: list[str] = []
        for word in step:
            if isinstance(word, list | tuple):
                names = [name for part in word for name in WORD.findall(str(part))]
                if all(self._value(name, task) not in (None, "", False) for name in names):
                    words += self.fill(word, task)
            elif word == "{options}":
                words += self.options(task)
            elif word == "{devices}":
                words += self.devices(task)
            elif word == "{extra}":
                words += read_extra(self.card, task.params.extra)
            elif word == "{inputs}":
                words += task.inputs
            else:
                words.append(WORD.sub(lambda found: _plain(self._value(found[1], task)), str(word)))
        return words

    def options(self, task: Task, *names: str) -> list[str]:
        """Return the flags of the options that are given (of ``names`` alone, where there are any)."""
        written: list[str] = []
        for option in self.card.options:
            if not names or option.name in names:
                written += write_option(option, self._value(option.name, task))
        return written

    def devices(self, task: Task) -> list[str]:
        """Return the words that tell the program its GPUs, or to keep off them."""
        numbers = gpu_numbers() if self.card.devices.spelling == "inherited" else {}
        return spell_devices(self.name, self.card.devices, task.devices, numbers)

    def _value(self, name: str, task: Task) -> Any:
        built_in = {
            "program": self.card.program.executable,
            "input": task.inputs[0] if task.inputs else "",
            "name": task.items[0].name if len(task.items) == 1 else "all",
            "threads": task.context.threads,
        }
        if name in task.words:
            return task.words[name]
        return built_in[name] if name in built_in else getattr(task.params, name)

    def call(self, task: Task, words: Sequence[str], *, executable: str = "") -> Ended:
        """Run one command of the program and hold its end to the rules; ProgramError where it broke one."""
        program, context = self.card.program, task.context
        first = task.start.executable(program, executable or (words[0] if words[0] != program.executable else ""))
        words = [first, *words[1:]]
        self._check_words(words)
        folders = [task.folder, *{item.path.parent for item in task.items}, context.job]
        folders += [path.resolve().parent for path in task.folder.rglob("*") if path.is_symlink()]
        context.log.info("%s: $ %s", task.items[0].name if len(task.items) == 1 else "data set", " ".join(words))
        environment = task.start.clean(surroundings(os.environ, context.threads, task.devices, task.folder))
        listening = Listening(
            fatal=(*program.fatal, *ALWAYS_FATAL),
            fallback=program.fallback,
            progress=program.progress,
            tell=context.progress,
        )
        ended = run(
            task.start.command(words, folders),
            task.folder,
            {**environment, **program.environment},
            listening,
            self.stdin(task),
        )
        self.judge(task, ended)
        return ended

    def _check_words(self, words: Sequence[str]) -> None:
        longest = self.card.program.longest_path
        for word in words[1:]:
            if longest and len(os.fsencode(word)) > longest:
                raise SetupError(
                    f"{self.card.program.name} takes at most {longest} bytes a word, and would be given {word}"
                )

    def judge(self, task: Task, ended: Ended) -> None:
        """Raise ProgramError, or MemoryError, for an end that is no success."""
        refuse_failure(self.card.program, ended)
        if ended.fallback and task.devices and not getattr(task.params, "allow_cpu_fallback", False):
            raise ProgramError(
                f"{self.card.program.name} was given a GPU and went on without it: {ended.fallback}; "
                "mend its installation, or give --allow-cpu-fallback"
            )

    def _found(self, task: Task, began: int) -> dict[str, Path]:
        given = {name: getattr(task.params, name) for name in type(task.params).model_fields}
        found = {}
        for output in wanted(self.card.outputs, given):
            try:
                path = find_output(self.placed(output, task), task.folder, began)
            except BadOutput as error:
                raise ProgramError(f"{self.card.program.name} exited with 0, but {error}") from error
            if path is not None:
                found[output.kind] = path
        return found

    def placed(self, output: Output, task: Task) -> Output:
        """Return an output with the item's names in its pattern."""
        stem = Path(task.inputs[0]).stem if task.inputs else ""
        return dataclasses.replace(output, file=output.file.replace("{stem}", stem))

    def keep(self, task: Task, kind: str, path: Path) -> Path:
        """Move a file, or a folder as a tar, to its place in the job; return the place."""
        output = next(one for one in self.card.outputs if one.kind == kind)
        relative = output.to.replace("{name}", self.product_name(task.item, task.params))
        with task.context.write(relative) as temporary:
            if path.is_dir():
                from pypcore.programs.archive import pack

                pack(path, temporary)
            else:
                shutil.move(path, temporary)
        return task.context.job / relative


def _plain(value: Any) -> str:
    if isinstance(value, tuple | list):
        return ",".join(_plain(one) for one in value)
    return f"{value:.10g}" if isinstance(value, float) else str(value)


@functools.lru_cache(maxsize=4)
def _sum_of(path: Path, _mtime_ns: int) -> str:
    return sha256(path)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
