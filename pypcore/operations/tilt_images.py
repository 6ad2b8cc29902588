"""The images of a tilt series, read one at a time."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import NDArray

from pypcore.errors import InputError
from pypcore.formats.movie_base import Movie
from pypcore.formats.movies import open_movie
from pypcore.formats.tilt_series import TiltSeries, View
from pypcore.motion.parallel import Threads

Which = Literal["all", "even", "odd"]
Image = NDArray[np.float32]
_SAMPLED = 4  # every so many rows tell the spread of an image
_COUNTS = 0.2  # of their standard deviation, which the mean of counts is above


class TiltImages(Sequence[NDArray[Any]]):
    """Images [view, y, x] of a series, in the order of its views: ``images[3]`` reads one. Threads may read at once.

    ``which`` takes those of all frames, or of the even or odd ones alone. Raises InputError, on opening, where the
    images are movies still, or differ in size.
    """

    def __init__(self, series: TiltSeries, which: Which = "all") -> None:
        self._stack = ExitStack()
        self._movies: dict[Path, Movie] = {}
        self._places: list[tuple[Path, int]] = []
        self.pixel_size: float | None = None
        try:
            for view in series.views:
                self._places.append(self._place(view, which))
        except BaseException:
            self.close()
            raise
        first = self._movies[self._places[0][0]]
        self.pixel_size = first.pixel_size
        self.dtype = first.dtype
        self.shape = (len(self._places), *first.shape[1:])
        for view, (file, _) in zip(series.views, self._places, strict=True):
            shape = self._movies[file].shape[1:]
            if shape != self.shape[1:]:
                self.close()
                raise other_size(view, shape, self.shape[1:], series.views[0])

    def _place(self, view: View, which: Which) -> tuple[Path, int]:
        file = view.file if which == "all" else getattr(view, which)
        if file is None:
            raise InputError(f"{view.label}: no image of its {which} frames; --halves frames needs tilt movies")
        if file not in self._movies:
            self._movies[file] = self._stack.enter_context(open_movie(file, least=1))
        frames = self._movies[file].shape[0]
        section = view.section
        if section is None:
            if frames > 1:
                raise InputError(f"{file}: {frames} frames; the image of a tilt is one: give the mdoc of the series")
            section = 0
        if section >= frames:
            raise InputError(f"{file}: section {section + 1} of {frames}; the stack is shorter than its description")
        return file, section

    @property
    def ndim(self) -> int:
        """Axes: three."""
        return len(self.shape)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._places)

    @overload
    def __getitem__(self, number: int) -> Image: ...

    @overload
    def __getitem__(self, number: slice) -> list[NDArray[Any]]: ...

    def __getitem__(self, number: int | slice) -> Image | list[NDArray[Any]]:
        """Return image ``number`` [y, x], or several."""
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        file, section = self._places[int(number)]
        return np.asarray(self._movies[file].read(section), np.float32)

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def other_size(view: View, shape: tuple[int, ...], usual: tuple[int, ...], first: View) -> InputError:
    """Return the error for a view of another size than the first."""
    return InputError(
        f"{view.file}: view {view.number} ({view.angle:g} degrees) is {shape[1]} x {shape[0]} pixels, {first.label} "
        f"{usual[1]} x {usual[0]}; the views of a series have one size: leave it out with --exclude-views {view.number}"
    )


def normalisation(images: TiltImages) -> Literal["mean", "deviation"]:
    """Return by what the images of a series are divided: by their means where they are counts, else by their spread.

    Counts have a mean well above 0 in every view; the first, the middle and the last are looked at.
    """
    for number in {0, len(images) // 2, len(images) - 1}:
        image = images[number]
        if image.mean(dtype=np.float64) < _COUNTS * image.std(dtype=np.float64):
            return "deviation"
    return "mean"


class Shrunk(Sequence[NDArray[Any]]):
    """Images averaged over squares of ``factor`` pixels, about the same centre; for pictures."""

    def __init__(self, images: TiltImages, factor: int) -> None:
        self._images, self.factor = images, factor
        self.shape = (len(images), *(max(1, side // factor) for side in images.shape[1:]))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self._images)

    @overload
    def __getitem__(self, number: int) -> Image: ...

    @overload
    def __getitem__(self, number: slice) -> list[NDArray[Any]]: ...

    def __getitem__(self, number: int | slice) -> Image | list[NDArray[Any]]:
        """Return image ``number`` [y, x], or several."""
        if isinstance(number, slice):
            return [self[index] for index in range(*number.indices(len(self)))]
        image, n = self._images[number], self.factor
        _, y, x = self.shape
        top, left = ((side - small * n) // 2 for side, small in zip(image.shape, (y, x), strict=True))
        # Rows first, whole vectors at a time: a tenth of the time of both at once.
        lines = np.add.reduce(image[top : top + y * n, left : left + x * n].reshape(y, n, x * n), 1, dtype=np.float32)
        return np.asarray(lines.reshape(y, x, n).sum(2) / np.float32(n * n))


def survey(images: TiltImages, threads: int) -> dict[int, str]:
    """Look at every image; return which can't be, and why: black or blank, or with pixels that are NaN.

    One is black when its mean is less than a tenth of that of its neighbours in angle: the beam was blank, or hidden
    by the grid. A series whose mean is near 0 (normalised by another program) is judged by its contrast instead.
    """
    reasons: dict[int, str] = {}
    levels = np.full(len(images), np.nan)
    spreads = np.full(len(images), np.nan)

    def one(number: int) -> None:
        image = images[number]
        mean = image.mean(dtype=np.float64)
        if np.isfinite(mean):
            levels[number], spreads[number] = mean, image[::_SAMPLED].std(dtype=np.float64)
        else:
            reasons[number] = f"{np.count_nonzero(~np.isfinite(image))} pixels are NaN or infinite"

    with Threads(threads) as workers:
        workers.run(one, range(len(images)))
    if np.nanmedian(levels) < _COUNTS * np.nanmedian(spreads):
        levels = spreads
    for number, level in enumerate(levels):
        usual = float(np.nanmedian(levels[max(0, number - 3) : number + 4])) if np.isfinite(level) else 0.0
        if np.isfinite(level) and (spreads[number] == 0 or level < 0.1 * usual):
            reasons[number] = f"black: a mean of {level:.3g} where its neighbours have {usual:.3g}"
    return reasons
