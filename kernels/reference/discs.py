"""The definition of ``fill_discs``."""

import numpy as np
from numpy.typing import NDArray

FEWEST = 12  # pixels of a ring that a plane is laid through


def fill_discs(
    image: NDArray[np.float32], discs: NDArray[np.float64], width: float, normals: NDArray[np.float32]
) -> None:
    """Fill ``discs`` [n, (y, x, radius)] px of ``image`` [y, x] with what is around them.

    A disc gets the plane that fits its ring best (up to ``width`` px from it, pixels of no disc), and noise:
    ``normals`` [n, m] times the ring's rms deviation from that plane, in the order of the disc's pixels, row by row.
    Where the ring has fewer than 12 pixels, the mean and the deviation of all pixels outside discs count. Discs may
    leave the image.
    """
    y, x = (np.asarray(index, np.float64) for index in np.indices(image.shape))
    away = np.stack([np.hypot(y - disc[0], x - disc[1]) - disc[2] for disc in discs]) if len(discs) else np.ones((0, 1))
    free = ~(away <= 0).any(0)
    before = image.astype(np.float64)
    for n in range(len(discs)):
        cy, cx, radius = discs[n]
        ring = free & (away[n] <= width)
        scale = radius + width
        if ring.sum() >= FEWEST:
            columns = np.stack([np.ones(ring.sum()), (y[ring] - cy) / scale, (x[ring] - cx) / scale], 1)
            plane = np.linalg.lstsq(columns, before[ring], rcond=1e-6)[0]
            deviation = np.sqrt(((before[ring] - columns @ plane) ** 2).mean())
        elif free.any():
            plane, deviation = np.array([before[free].mean(), 0, 0]), before[free].std()
        else:
            continue
        inside = away[n] <= 0
        level = plane[0] + plane[1] * (y[inside] - cy) / scale + plane[2] * (x[inside] - cx) / scale
        image[inside] = level + deviation * normals[n, : inside.sum()]
