"""Small series of gold beads whose every place and shift is known."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from pypcore.beads.settings import BeadSettings
from pypcore.simulate.tilt_specimen import Specimen
from pypcore.simulate.tiltseries import SimulatedSeries, TiltPlan, raw_places
from pypcore.tilts.alignment import TiltAlignment

LOG = logging.getLogger("test")
PLAN = TiltPlan(shape=(256, 256), depth=64, angles=(-60, 60, 6), axis=85.3, shift=15)
RADIUS = 5.0


@dataclass(frozen=True)
class Gold:
    """A series, its beads [J, (X, Y, Z)] px, and the same views as if there were none."""

    series: SimulatedSeries
    places: np.ndarray
    without: np.ndarray
    moved: dict[int, np.ndarray]  # of beads that move: where they are in each view, [T, 3]

    @property
    def true(self) -> TiltAlignment:
        plan = self.series.plan
        angles = self.series.angles + plan.tilt_offset
        return TiltAlignment.of_axis(angles, plan.axis, self.series.shifts, plan.shape, plan.pixel_size)

    def start(self, error: float, seed: int = 0) -> TiltAlignment:
        """The true alignment, its shifts ``error`` px wrong (standard deviation), its axis a degree."""
        rng = np.random.default_rng([seed, 9])
        plan = self.series.plan
        shifts = self.series.shifts + rng.normal(0, error, self.series.shifts.shape)
        return TiltAlignment.of_axis(self.series.angles, plan.axis - 1, shifts, plan.shape, plan.pixel_size)


def gold(
    count: int = 12, plan: TiltPlan = PLAN, *, seed: int = 1, moving: int = 0, light: bool = False, matter: int = 250
) -> Gold:
    """Record ``count`` beads in ice with some blobs of ``matter``; ``moving`` of them wander by two diameters."""
    rng = np.random.default_rng([seed, 3])
    first, last, step = plan.angles
    angles = np.arange(first, last + 1e-6, step)
    shifts = rng.uniform(-plan.shift, plan.shift, (len(angles), 2))
    half = np.array(plan.shape[::-1]) / 2
    places = np.column_stack(
        [*(rng.uniform(-0.85, 0.85, (count, 2)) * half).T, rng.choice([-0.42, 0.42], count) * plan.depth]
    )
    blobs = rng.uniform(-1, 1, (matter, 3)) * (*(1.6 * half), 0.4 * plan.depth)
    moved = {}
    for j in range(moving):
        way = np.linspace(0, 1, len(angles))[:, None] * rng.choice([-1, 1], 3) * (20, 20, 0)
        moved[j] = places[j] + way
    y, x = np.indices(plan.shape)
    views = np.empty((2, len(angles), *plan.shape), np.float32)
    for t, angle in enumerate(angles):
        density = np.zeros(plan.shape)
        for points, radius, weight in ((blobs, 3.0, 0.05), (places, RADIUS, 0.2)):
            here = points.copy()
            if radius == RADIUS:
                views[1, t] = density
                for j, way in moved.items():
                    here[j] = way[t]
            for cy, cx in raw_places(here[:, ::-1], plan, angle + plan.tilt_offset, shifts[t]):
                rows, columns = (slice(max(0, int(c) - 12), max(0, int(c) + 13)) for c in (cy, cx))
                away = np.hypot(y[rows, columns] - cy, x[rows, columns] - cx)
                # A ball's projection, its edge softened over a pixel or so.
                soft = sum(np.sqrt(np.maximum(1 - (away / (radius + e)) ** 2, 0)) for e in (-0.8, 0, 0.8)) / 3
                density[rows, columns] += weight * soft
        views[0, t] = density
    expected = np.exp((1 if light else -1) * views)
    beam = plan.dose * plan.pixel_size**2 or 1.0
    # The same noise with and without beads, so that what differs is theirs.
    noise = rng.normal(size=views.shape[1:]) if plan.dose else 0.0
    tilts = (beam * expected + np.sqrt(beam * expected) * noise).astype(np.float32)
    specimen = Specimen(np.zeros((0, 3)), np.zeros(0), places[:, ::-1])
    series = SimulatedSeries(tilts[0], angles, np.zeros(len(angles)), shifts, plan, specimen)
    return Gold(series, places, tilts[1], moved)


def settings(plan: TiltPlan = PLAN, **options) -> BeadSettings:
    return replace(BeadSettings(2 * RADIUS, float(plan.depth)), **options)
