"""IsoNet and IsoNet2: a STAR of tomograms that their steps rewrite in place, so each task has one of its own."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pypcore.items import Item, natural_key
from pypcore.programs.adapter import Adapter, Task
from pypcore.programs.halves import other_half
from pypcore.programs.process import Ended


class _IsoNet(Adapter):
    """IsoNet lists every file of a folder, so that holds tomograms alone."""

    def lay_in(self, task: Task) -> None:
        """Put the tomograms into a folder of their own."""
        for item in task.items:
            task.inputs.append(task.linked(item.path, f"tomos/{item.name}.mrc"))
        if getattr(task.params, "model", None) is not None:
            task.words["model"] = task.shown(task.params.model, "network")

    def prepare(self, task: Task, *more: str) -> list[str]:
        """Return the words that list the tomograms."""
        params = task.params
        words = [
            "isonet.py",
            "prepare_star",
            "tomos",
            "--output_star",
            "tomograms.star",
            "--pixel_size",
            f"{params.pixel_size:g}",
        ]
        return [*words, "--defocus", f"{params.defocus:g}", *more]

    def deconvolve(self, task: Task) -> Iterator[list[str]]:
        """Yield the words that deconvolve, where a defocus is given."""
        params = task.params
        if params.defocus:
            words = [
                "isonet.py",
                "deconv",
                "tomograms.star",
                "--deconv_folder",
                "deconv",
                "--snrfalloff",
                f"{params.snr_falloff:g}",
            ]
            words += ["--deconvstrength", f"{params.deconvolution_strength:g}", "--voltage", f"{params.voltage:g}"]
            yield [*words, "--cs", f"{params.cs:g}", "--ncpu", str(task.context.threads)]

    def judge(self, task: Task, ended: Ended) -> None:
        """It catches what goes wrong, writes it to log.txt and exits with 0."""
        log = task.folder / "log.txt"
        if not ended.fatal and log.is_file():
            lines = log.read_text(errors="replace").splitlines()
            faults = [line for line in lines if line.startswith(("Traceback", "ERROR")) or "Error:" in line]
            ended.fatal = faults[-1] if faults else ""
        super().judge(task, ended)


class Train(_IsoNet):
    """Tomograms to a network."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """List, deconvolve, mask, cut out, refine."""
        params = task.params
        yield self.prepare(task, "--number_subtomos", str(params.cubes))
        yield from self.deconvolve(task)
        mask = [
            "isonet.py",
            "make_mask",
            "tomograms.star",
            "--mask_folder",
            "mask",
            "--density_percentage",
            f"{params.density:g}",
        ]
        yield [*mask, "--std_percentage", f"{params.variation:g}", "--z_crop", f"{params.z_crop:g}"]
        extract = [
            "isonet.py",
            "extract",
            "tomograms.star",
            "--subtomo_folder",
            "subtomo",
            "--subtomo_star",
            "subtomo.star",
        ]
        yield [*extract, "--cube_size", str(params.cube_size)]
        refine = ["isonet.py", "refine", "subtomo.star", "--result_dir", "results", "--data_dir", "data"]
        yield [
            *refine,
            "--preprocessing_ncpus",
            str(task.context.threads),
            *self.options(task),
            *self.fill(["{devices}", "{extra}"], task),
        ]

    def _found(self, task: Task, began: int) -> dict[str, Path]:
        """Of the networks of all iterations only the last counts."""
        for model in sorted(task.folder.glob("results/model_iter*.h5"), key=lambda path: natural_key(path.name))[:-1]:
            model.unlink()
        return super()._found(task, began)


class Predict(_IsoNet):
    """Tomograms to corrected ones."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """List, deconvolve, predict."""
        yield self.prepare(task)
        yield from self.deconvolve(task)
        words = ["isonet.py", "predict", "tomograms.star", str(task.words["model"]), "--output_dir", "corrected"]
        words += ["--use_deconv_tomo", "True" if task.params.defocus else "False"]
        yield [*words, *self.options(task), *self.fill(["{devices}", "{extra}"], task)]


class _IsoNet2(_IsoNet):
    """Its prepare_star takes folders of whole tomograms, or of halves; defocus goes into its STAR."""

    def prepare(self, task: Task, *more: str) -> list[str]:
        """Return the words that list the tomograms."""
        halves = (task.folder / "odd").is_dir()
        folders = ["--even", "tomos", "--odd", "odd"] if halves else ["--full", "tomos"]
        size = f"{task.params.pixel_size:g}"
        return ["isonet.py", "prepare_star", *folders, "--star_name", "tomograms.star", "--pixel_size", size, *more]

    def call(self, task: Task, words: Sequence[str], *, executable: str = "") -> Ended:
        """Write the defocus into the list, once that is made."""
        ended = super().call(task, words, executable=executable)
        if words[1] == "prepare_star" and task.params.defocus:
            _set_defocus(task.folder / "tomograms.star", task.params.defocus)
        return ended

    def deconvolve(self, task: Task) -> Iterator[list[str]]:
        """Yield the words that deconvolve, into its own folder, deconv."""
        words = ["isonet.py", "deconv", "tomograms.star", "--ncpus", str(task.context.threads)]
        yield [*words, *self.options(task, "snr_falloff", "deconvolution_strength")]


class Deconvolve2(_IsoNet2):
    """Tomograms, on the CPU."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """List, deconvolve."""
        yield self.prepare(task)
        for words in self.deconvolve(task):
            yield words + self.fill(["{extra}"], task)


class Train2(_IsoNet2):
    """Tomograms, or their halves, to a network."""

    def check_item(self, item: Item, params: Any) -> None:
        """To denoise, the other half must be there."""
        if params.method == "denoise":
            other_half(item.path, params.halves)

    def lay_in(self, task: Task) -> None:
        """Halves go into two folders under one name."""
        super().lay_in(task)
        if task.params.method == "denoise":
            for item in task.items:
                task.linked(other_half(item.path, task.params.halves), f"odd/{item.name}.mrc")

    def steps(self, task: Task) -> Iterator[list[str]]:
        """List, deconvolve and mask to refine; then train."""
        params = task.params
        yield self.prepare(task, "--number_subtomos", str(params.cubes))
        if params.method == "refine":
            if params.defocus:
                yield from self.deconvolve(task)
            column = "rlnDeconvTomoName" if params.defocus else "rlnTomoName"
            yield ["isonet.py", "make_mask", "tomograms.star", "--input_column", column]
        words = [
            "isonet.py",
            params.method,
            "tomograms.star",
            "--output_dir",
            "model",
            "--ncpus",
            str(task.context.threads),
        ]
        yield [*words, *self.options(task), *self.fill(["{devices}", "{extra}"], task)]


class Predict2(_IsoNet2):
    """Tomograms to corrected ones."""

    def steps(self, task: Task) -> Iterator[list[str]]:
        """List, deconvolve, predict."""
        yield self.prepare(task)
        column = "rlnTomoName"
        if task.params.defocus:
            column = "rlnDeconvTomoName"
            yield from self.deconvolve(task)
        words = ["isonet.py", "predict", "tomograms.star", str(task.words["model"]), "--output_dir", "corrected"]
        yield [*words, "--input_column", column, *self.options(task), *self.fill(["{devices}", "{extra}"], task)]


def _set_defocus(star: Path, defocus: float) -> None:
    """Write one defocus, Å, for every tomogram into IsoNet2's list, which is given it no other way."""
    from pypcore.formats.star import read_star, write_star

    blocks = read_star(star)
    for block in blocks.values():
        if block.columns:
            block.columns["rlnDefocus"] = [f"{defocus:g}"] * len(next(iter(block.columns.values())))
    write_star(star, {name: block.columns for name, block in blocks.items()})
