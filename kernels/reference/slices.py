"""Definition of ``insert_slices`` and ``extract_slices``: between images and a Fourier volume, by Fourier slices."""

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Index = NDArray[np.int32]

# Columns of ``ctf``. Frequencies are in Fourier pixels of the image; phases in turns.
XX, XY, YY = 0, 1, 2  # defocus: XX kx² + XY kx ky + YY ky²
GXX, GXY, GYY = 3, 4, 5  # true frequency squared g² in 1/Å², likewise
QUARTIC, CONSTANT = 6, 7  # QUARTIC g⁴ (that of Cs); phase plate and amplitude contrast
ENVELOPE, SCALE, WEIGHT = 8, 9, 10  # SCALE exp(-ENVELOPE g²); the weight of the particle
STATE = 11  # of the images: 0 raw, 1 with flipped phases, 2 multiplied by the CTF
OVERLAP = 12  # Ewald sphere: pi lambda times the particle's diameter, Å², else 0
COLUMNS = 13


def insert_slices(
    volume: Float32,
    spectra: NDArray[np.complex64],
    order: Index,
    matrices: Float64,
    shifts: Float64,
    ctf: Float64,
    tables: Float32,
    table_of: Index,
    curves: Float32,
    curve_of: Index,
    nearest: int,
    beyond: int,
) -> None:
    """Add the spectra of images to a Fourier volume, times their CTF, and the CTF's square to its weights.

    A sample at (kx, ky) goes to the eight cells around ``matrices @ (kx, ky, g²)`` with trilinear shares; where that
    has x < 0, its conjugate goes to the opposite point. Used are samples within the image's Nyquist circle and
    the volume's; of the column kx = 0 the half ky >= 0, since the other holds the same. The value at frequency 0
    is dropped (its weight is not): maps have mean 0.

    ``volume`` [z, y, x, 4], written: real, imaginary, weight, nothing. Frequency (x, y, z) is cell
    [z + c, y + c, x] with c = Z // 2, for a volume's Nyquist radius of X - 2; sides Z = Y = 2 c + 1, c = X - 1.
    ``spectra`` [N, n, n // 2 + 1]: ``rfft2`` of the images. ``order`` [M]: those to add, in this order.
    ``matrices`` [N, 3, 3], rows x, y, z: cells per Fourier pixel; the third column bends the slice (Ewald sphere), and
    where ``OVERLAP`` > 0 each sample goes to both sheets, +g² and -g², with complex CTFs.
    ``shifts`` [N, 2] (y, x): the spectrum is multiplied by exp(-2 pi i k.s) first. ``ctf`` [N, COLUMNS]: see above.
    ``tables`` [T, n, n // 2 + 1, 2]: aberrations in turns, symmetric (subtracted from the CTF's phase) and
    antisymmetric (a phase of the spectrum); ``table_of`` [N]: which, or -1.
    ``curves`` [C, S]: weights w at |k| = 0, 1, ... Fourier pixels of the image; ``curve_of`` [N]: which, or -1.
    Only the planes ``nearest`` <= |z| < ``beyond`` are written, so that several may be at work on one volume.
    """
    for n in order:
        k = _frequencies(spectra[n], matrices[n], volume, half_column=True)
        phase, envelope, g2 = transfer(k, ctf[n], tables, table_of[n])
        value = spectra[n, k[1], k[0]] * np.exp(-2j * np.pi * _turns(k, shifts[n], tables, table_of[n]))
        value[(k == 0).all(0)] = 0
        w = np.full(k.shape[1], ctf[n, WEIGHT])
        if curve_of[n] >= 0:
            w *= np.interp(np.hypot(*k), np.arange(curves.shape[1]), curves[curve_of[n]])
        points = matrices[n][:, :2] @ k
        sine = envelope * np.sin(2 * np.pi * phase)
        if ctf[n, OVERLAP] == 0:
            times = [sine, np.abs(sine), 1.0][int(ctf[n, STATE])]
            _add(volume, points, w * times * value, w * sine**2, nearest, beyond)
            continue
        same = _likeness(ctf[n, OVERLAP] * g2)
        square = 0.5 * (same * sine**2 + (1 - same) * envelope**2 / 2)
        for sheet in (1, -1):
            bent = points + sheet * matrices[n][:, 2:] * g2
            inside = (bent**2).sum(0) <= (volume.shape[2] - 2) ** 2 * (1 + 1e-6)
            own = np.conj(_sheet(sheet, phase, envelope))
            _add(volume, bent[:, inside], (w * own * value)[inside], (w * square)[inside], nearest, beyond)


def extract_slices(
    volume: Float32,
    spectra: NDArray[np.complex64],
    matrices: Float64,
    shifts: Float64,
    ctf: Float64,
    tables: Float32,
    table_of: Index,
) -> None:
    """Cut slices out of a Fourier volume and image them: the transpose of ``insert_slices``.

    ``volume`` [z, y, x, 4] as there, of which real and imaginary part are read; its plane x = 0 is whole.
    ``spectra`` [N, n, n // 2 + 1], written: trilinear samples times the CTF (no weights, and ``STATE`` is not asked),
    moved by exp(+2 pi i k.s). Frequencies outside of either Nyquist circle are 0. All else as there.
    """
    spectra[:] = 0
    for n in range(len(spectra)):
        k = _frequencies(spectra[n], matrices[n], volume, half_column=False)
        phase, envelope, g2 = transfer(k, ctf[n], tables, table_of[n])
        points = matrices[n][:, :2] @ k
        if ctf[n, OVERLAP] == 0:
            value = _read(volume, points) * envelope * np.sin(2 * np.pi * phase)
        else:
            value = np.zeros(k.shape[1], np.complex128)
            for sheet in (1, -1):
                bent = points + sheet * matrices[n][:, 2:] * g2
                inside = (bent**2).sum(0) <= (volume.shape[2] - 2) ** 2 * (1 + 1e-6)
                value[inside] += _read(volume, bent[:, inside]) * _sheet(sheet, phase, envelope)[inside]
        spectra[n, k[1], k[0]] = value * np.exp(2j * np.pi * _turns(k, shifts[n], tables, table_of[n]))


def transfer(k: NDArray[np.int64], ctf: Float64, tables: Float32, table: int) -> tuple[Float64, Float64, Float64]:
    """Return the CTF's phase in turns, its envelope, and g² in 1/Å², at frequencies ``k`` [(x, y), K]."""
    x, y = k.astype(np.float64)
    g2 = ctf[GXX] * x * x + ctf[GXY] * x * y + ctf[GYY] * y * y
    phase = ctf[XX] * x * x + ctf[XY] * x * y + ctf[YY] * y * y + ctf[QUARTIC] * g2 * g2 + ctf[CONSTANT]
    if table >= 0:
        phase = phase - tables[table, k[1], k[0], 0]
    return phase, ctf[SCALE] * np.exp(-ctf[ENVELOPE] * g2), g2


def _frequencies(
    spectrum: NDArray[np.complex64], matrix: Float64, volume: Float32, *, half_column: bool
) -> NDArray[np.int64]:
    """The frequencies [(x, y), K] used; as indices, the negative ones count from the end of an axis."""
    n, radius = len(spectrum), volume.shape[2] - 2
    x, y = (a.ravel() for a in np.meshgrid(np.arange(n // 2 + 1), np.arange(-((n - 1) // 2), n // 2 + 1)))
    points = matrix[:, :2] @ np.stack([x, y])
    used = (x * x + y * y <= (n // 2) ** 2) & ((points**2).sum(0) <= radius**2 * (1 + 1e-6))
    if half_column:
        used &= (x > 0) | (y >= 0)
    return np.stack([x[used], y[used]])


def _turns(k: NDArray[np.int64], shift: Float64, tables: Float32, table: int) -> Float64:
    turns = shift[1] * k[0] + shift[0] * k[1]
    return turns if table < 0 else turns + tables[table, k[1], k[0], 1]


def _sheet(sheet: int, phase: Float64, envelope: Float64) -> NDArray[np.complex128]:
    """The CTF of one side of the Ewald sphere: both together are the sine."""
    return sheet * envelope * np.exp(2j * np.pi * sheet * phase) / 2j


def _likeness(u: Float64) -> Float64:
    """How alike the transform of a filled sphere is at two points u / (pi diameter) apart: 3 (sin u - u cos u) / u³."""
    safe = np.maximum(u, 0.05)
    return np.where(u < 0.05, 1 - u * u / 10, 3 * (np.sin(safe) - safe * np.cos(safe)) / safe**3)


def _corners(volume: Float32, points: Float64) -> tuple[NDArray[np.bool_], NDArray[np.int64], Float64]:
    """Which points have x < 0 and are taken at their opposite; the cells' numbers [8, K] and shares [8, K]."""
    flipped = points[0] < 0
    x, y, z = np.where(flipped, -points, points)
    y, z = y + volume.shape[1] // 2, z + volume.shape[0] // 2
    numbers, shares = [], []
    for dz in (0, 1):
        for dy in (0, 1):
            for dx in (0, 1):
                iz, iy, ix = (np.floor(v).astype(np.int64) for v in (z, y, x))
                numbers.append(((iz + dz) * volume.shape[1] + iy + dy) * volume.shape[2] + ix + dx)
                shares.append(
                    np.prod([1 - np.abs(v - i - d) for v, i, d in ((z, iz, dz), (y, iy, dy), (x, ix, dx))], 0)
                )
    return flipped, np.array(numbers), np.array(shares)


def _add(
    volume: Float32, points: Float64, value: NDArray[np.complex128], weight: Float64, nearest: int, beyond: int
) -> None:
    flipped, numbers, shares = _corners(volume, points)
    cells = volume.reshape(-1, 4)
    plane = np.abs(np.arange(len(volume)) - len(volume) // 2)
    written = np.repeat((nearest <= plane) & (plane < beyond), volume[0, ..., 0].size)
    for lane, what in enumerate((value.real, np.where(flipped, -value.imag, value.imag), weight)):
        total = np.bincount(numbers.ravel(), (shares * what).ravel(), minlength=len(cells))
        cells[written, lane] += total[written].astype(np.float32)


def _read(volume: Float32, points: Float64) -> NDArray[np.complex128]:
    flipped, numbers, shares = _corners(volume, points)
    cells = volume.reshape(-1, 4)
    value = (shares * (cells[numbers, 0] + 1j * cells[numbers, 1])).sum(0)
    return np.where(flipped, value.conj(), value)
