"""From raw to aligned tilts by one interpolation: binning, rotation, shift, distortion and dose weight together.

A raw image is transformed; what the tomogram has no voxels for is cut off in Fourier space, the rest is weighted,
divided by the transform of the quintic B-spline and brought back; the spline is then sampled where each aligned pixel
comes from. Where there is binning, the spline gets finer pixels than the tomogram's: half as large again, so that
it is good to a percent at the tomogram's Nyquist frequency, and the corners beyond it are cut off round, so that
nothing folds back however the image is turned. What is outside the raw image is 0, the mean.
"""

import numpy as np
from numpy.typing import NDArray

from pypcore import kernels
from pypcore.errors import InputError
from pypcore.kernels import fft
from pypcore.tomogram.views import Views

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_CELL = 32  # aligned pixels between the nodes of where they come from; local shifts are smooth at this scale
_FINER = 1.5  # pixels of the spline for one of the tomogram, where there is binning
_MARGIN = 12  # pixels of the spline before and after the image: its inverse decays as 0.43^n
_ROWS = 256  # rows transformed at a time


class Aligner:
    """Aligns the tilts of one series, one at a time; may be called by several threads."""

    def __init__(self, views: Views, exposures: Array | None = None, voltage: float = 300.0) -> None:
        """Prepare for the tilts of ``views``.

        ``exposures`` [T]: e-/Å² that the specimen had had by the middle of each image (the tilts used, in its
        order), for dose weighting; None: none. ``voltage`` in kV.
        """
        self.views = views
        self.exposures = exposures
        self.voltage = voltage
        raw = views.alignment.image_shape
        finer = max(views.settings.binning / _FINER, 1.0)
        self.margin = int(np.ceil(_MARGIN * finer))
        # `padded` raw pixels become `small` pixels of the spline, along each axis: sides that are quick to transform.
        y, x = (fft.good_size(int(np.ceil((n + 2 * self.margin) / finer))) for n in raw)
        self.small = (y, x)
        # The ratio is what it comes to: places are scaled by it.
        self.padded = (y, x) if finer == 1 else tuple(fft.good_size(int(np.ceil(n * finer))) for n in self.small)
        self.factor = self._factor()

    def __call__(self, tilt: int, raw: NDArray[np.generic]) -> Image:
        """Return aligned image ``tilt`` [height, width], its mean taken off."""
        image = self._checked(tilt, raw)
        if self.exposures is None and self.views.untouched(tilt):
            return self._cut(tilt, image)
        spline = self._spline(tilt, image)
        height, width = self.views.height, self.views.width
        i, j = np.meshgrid(np.arange(0, height + _CELL, _CELL), np.arange(0, width + _CELL, _CELL), indexing="ij")
        y, x = self.views.places(tilt, i.astype(float), j.astype(float))
        scale = [s / p for s, p in zip(self.small, self.padded, strict=True)]
        out = np.empty((height, width), np.float32)
        kernels.get("sample_grid", "numba")(
            spline, (y + self.margin) * scale[0], (x + self.margin) * scale[1], _CELL, out
        )
        return out

    def _checked(self, tilt: int, raw: NDArray[np.generic]) -> Image:
        """Return a copy in float32 whose mean is 0, normalised as asked for."""
        shape = self.views.alignment.image_shape
        if raw.shape != shape:
            raise InputError(
                f"tilt {tilt + 1} (of those used): {_size(raw.shape)} pixels, the series has {_size(shape)}; all "
                "tilts of a series have one size; leave it out"
            )
        image = np.array(raw, np.float32)
        mean = float(image.mean(dtype=np.float64))
        if not np.isfinite(mean):
            raise InputError(
                f"tilt {tilt + 1} (of those used): some pixels are NaN or infinite; leave this tilt out, or correct it"
            )
        image -= np.float32(mean)
        how = self.views.settings.normalise
        if how != "none":
            by = mean if how == "mean" else float(image.std(dtype=np.float64))
            if by <= 0:
                raise InputError(
                    f"tilt {tilt + 1} (of those used): its {how} is {by:g}, by which tilts are divided; leave it out, "
                    "or don't normalise"
                )
            image /= np.float32(by)
        return image

    def _cut(self, tilt: int, image: Image) -> Image:
        """Return the image shifted by whole pixels."""
        y, x = (int(k[0]) for k in self.views.places(tilt, np.zeros(1), np.zeros(1)))
        out = np.zeros((self.views.height, self.views.width), np.float32)
        rows, columns = (
            slice(max(-k, 0), max(min(n, m - k), 0)) for k, n, m in zip((y, x), out.shape, image.shape, strict=True)
        )
        part = image[max(y, 0) : max(y, 0) + out[rows].shape[0], max(x, 0) : max(x, 0) + out[:, columns].shape[1]]
        out[rows, columns] = part
        return out

    def _spline(self, tilt: int, image: Image) -> Image:
        """Return the spline's coefficients: the image Fourier-cropped, weighted, and divided by the spline."""
        height, width = self.small
        columns = width // 2 + 1
        rows = image.shape[0]
        half = np.zeros((rows, columns), np.complex64)
        block = np.zeros((min(_ROWS, rows), self.padded[1]), np.float32)
        inside = slice(self.margin, self.margin + image.shape[1])
        for low in range(0, rows, _ROWS):
            part = image[low : low + _ROWS]
            block[: len(part), inside] = part
            half[low : low + len(part)] = fft.rfft(block[: len(part)], self.padded[1])[:, :columns]
        tall = np.zeros((self.padded[0], columns), np.complex64)
        tall[self.margin : self.margin + rows] = half
        spectrum = fft.fft_columns(tall, self.padded[0])
        if height < self.padded[0]:
            middle = height // 2
            spectrum = np.concatenate([spectrum[:middle], spectrum[self.padded[0] - (height - middle) :]])
        spectrum *= self.factor
        if self.exposures is not None:
            spectrum *= self._damage(float(self.exposures[tilt]))
        return fft.irfft2(spectrum, (height, width))

    def _frequencies(self) -> Array:
        """Return |k| [y, x // 2 + 1] of the spline's spectrum in cycles per raw pixel."""
        ky, kx = fft.frequencies(self.small)
        k = np.hypot(ky * self.small[0] / self.padded[0], kx * self.small[1] / self.padded[1])
        return np.asarray(k)

    def _factor(self) -> Image:
        """Return the factors of the spectrum that are the same for all tilts."""
        ky, kx = fft.frequencies(self.small)
        factor = np.prod(self.small) / np.prod(self.padded) / (_quintic(ky) * _quintic(kx))
        binning = self.views.settings.binning
        if binning > 1:  # over 2 % of the band
            factor = factor * np.clip((0.5 / binning - self._frequencies()) * binning * 50 + 0.5, 0, 1)
        return factor.astype(np.float32)

    def _damage(self, exposure: float) -> Image:
        """Return what the exposure left of each frequency."""
        from pypcore.motion.weights import damage

        k = self._frequencies() / self.views.alignment.pixel_size
        radial = np.linspace(0, k.max(), 2048)
        left = damage(np.array([exposure]), radial, self.voltage)[0]
        return np.interp(k, radial, left).astype(np.float32)


def _quintic(k: Array) -> Array:
    """Return the transform of the sampled quintic B-spline at ``k`` cycles per pixel."""
    return (66 + 52 * np.cos(2 * np.pi * k) + 2 * np.cos(4 * np.pi * k)) / 120


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape[::-1])
