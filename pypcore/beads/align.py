"""A series aligned by its gold beads, from an alignment without markers; or its beads found where it is aligned."""

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pypcore.beads.believe import believe
from pypcore.beads.bundle import Fit, State, adjust, adjust_by_evidence, foretold
from pypcore.beads.detect import Peaks, find_peaks, learn
from pypcore.beads.follow import Tracks, distinct, follow
from pypcore.beads.freedom import Freedom
from pypcore.beads.seeds import seed
from pypcore.beads.settings import BeadSettings
from pypcore.beads.sight import Sight
from pypcore.beads.small import SmallViews, shrink_for_beads
from pypcore.beads.template import Template
from pypcore.errors import InputError
from pypcore.geometry import tilt_rotation
from pypcore.motion.parallel import Threads
from pypcore.tilts.alignment import TiltAlignment
from pypcore.tilts.coarse import outward
from pypcore.tilts.small import Tilts
from pypcore.tilts.views import BadView

Array = NDArray[np.float64]

_LOOSE = 6.0  # scales of the residuals that a peak may lie from where its bead is expected
_UNSTEADY = 3.0  # times the usual scale, above which a bead moves, or is none
_OUTLIER = 13.8  # of a point's squared residual over its scale's square: chi squared's 0.999 in two dimensions
_FAINT = 0.03  # of a bead's contrast at its centre: where it ends, for erasing


@dataclass(frozen=True)
class Beads:
    """J beads of a series of T views.

    ``places`` [J, 3] (X, Y, Z) px as recorded from the specimen's centre, in the aligned frame (``pypcore.geometry``);
    ``points`` [T, J, 2] (x, y) px from the raw view's centre, where they were seen, NaN where not; ``expected`` the
    same, where the alignment has them; ``counted`` [T, J]: points that took part; ``left_out`` [T, J, 2] px: how far
    a point lies from where all others expect it, NaN where there is none. ``spread`` [J] px: the scale of each bead's
    residuals; ``steady`` [J]: it is no larger than that of the others. ``reach`` px: where a bead's contrast ends.
    ``dark``: beads are darker than what is around them. ``others`` [n, 3] (view, x, y): what looks like a bead in
    single views, and belongs to none.
    """

    places: Array
    points: Array
    expected: Array
    counted: NDArray[np.bool_]
    left_out: Array
    spread: Array
    steady: NDArray[np.bool_]
    reach: float
    dark: bool
    others: Array

    @property
    def residual(self) -> Array:
        """How far points lie from where the alignment has them, [T, J, 2] px; NaN where there is none."""
        return self.points - self.expected

    def select(self, views: NDArray[np.intp]) -> "Beads":
        """Return those of some ``views``, in that order."""
        rows = [(at, x, y) for at, view in enumerate(views) for _, x, y in self.others[self.others[:, 0] == view]]
        parts = {name: getattr(self, name)[views] for name in ("points", "expected", "counted", "left_out")}
        return replace(self, **parts, others=np.array(rows, float).reshape(-1, 3))

    def among(self, views: NDArray[np.intp], alignment: TiltAlignment) -> "Beads":
        """Return the same for all views of ``alignment``, these T being ``views`` of them; the others saw nothing."""
        count = len(alignment)
        points, left_out = (np.full((count, *one.shape[1:]), np.nan) for one in (self.points, self.left_out))
        counted = np.zeros((count, self.counted.shape[1]), bool)
        points[views], left_out[views], counted[views] = self.points, self.left_out, self.counted
        others = self.others.copy()
        others[:, 0] = views[others[:, 0].astype(int)]
        expected = Sight.of(alignment).seen(self.places)
        return replace(self, points=points, expected=expected, counted=counted, left_out=left_out, others=others)


@dataclass(frozen=True)
class OnBeads:
    """The alignment of T views by their beads.

    ``error`` [T] px: the expected error of a view's shift (NaN where left out), the specimen's own place apart; ``bad``
    the views left out; ``foretold`` px: how far points lie from where all others expect them, as a rule (rms).
    """

    alignment: TiltAlignment
    beads: Beads
    error: Array
    axis_error: float  # degrees
    foretold: float
    freedom: Freedom
    bad: list[BadView]


@dataclass(frozen=True)
class _Found:
    """What one look at the views brought: all peaks that may be beads, which are sure, how a bead looks."""

    peaks: Peaks
    sure: Peaks
    sign: int


def align_on_beads(
    tilts: Tilts, start: TiltAlignment, settings: BeadSettings, threads: Threads, log: logging.Logger
) -> OnBeads:
    """Align views [T, y, x] by their beads, from ``start``, an alignment of these views that is good to half a bead.

    The specimen's place, and its turn about the axis, stay as ``start`` has them: beads don't tell those. Raises
    InputError where fewer than ``settings.least_beads`` beads hold still.
    """
    small = shrink_for_beads(tilts, settings.diameter, threads)
    template = Template.ball(settings.radius / small.step)
    state, tolerance = _state(start), settings.radius
    angles = start.specimen_angles
    for _ in range(2):  # the second time with the views in place, and with the look of the beads found
        found = _look(small, template, threads, settings)
        sight = _sight(state)
        places = seed(found.sure, sight, outward(angles), start.image_shape, settings)
        tracks, places = _followed(found.peaks, sight, places, angles, settings, tolerance)
        _enough(int(tracks.beads(_long(tracks, settings)).clear.any(0).sum()), settings)
        fit = adjust(tracks.points, tracks.clear, replace(state, places=places), Freedom())
        state = fit.state
        tolerance = float(np.clip(_LOOSE * fit.noise, small.step, settings.radius))
        template = learn(small, template, tracks.points, found.sign)
    tracks, places = _followed(found.peaks, _sight(state), state.places, angles, settings, tolerance)
    state = replace(state, places=places)
    fit, tracks, bad = _without_bad_views(tracks, state, start.angles, settings)
    fit = adjust_by_evidence(tracks.points, tracks.clear, fit.state)
    steady = _steady(fit, tracks, settings)
    _enough(int(steady.sum()), settings)
    log.info(
        "%d gold beads, %d of them steady; %s; points left out are foretold to %.2f px",
        len(steady), steady.sum(), fit.freedom.words(), foretold(fit, tracks.clear),
    )  # fmt: skip
    for one in bad:
        log.warning("view %d (%.1f degrees) left out: %s", one.view + 1, one.angle, one.reason)
    alignment, places = _alignment(fit.state, start)
    left = np.array([one.view for one in bad], np.intp)
    alignment = alignment.leave_out(left)
    error = np.hypot(*fit.error.T)
    error[left] = np.nan
    beads = _beads(alignment, places, tracks, fit.spread, steady, fit.left_out, found, template, small, settings)
    return OnBeads(
        alignment,
        beads,
        error,
        float(np.degrees(fit.axis_error)),
        foretold(fit, tracks.clear),
        fit.freedom,
        bad,
    )


def find_beads(
    tilts: Tilts, alignment: TiltAlignment, settings: BeadSettings, threads: Threads, log: logging.Logger
) -> Beads:
    """Find the beads of views [T, y, x] that are aligned, and leave the alignment as it is; none is no error."""
    small = shrink_for_beads(tilts, settings.diameter, threads)
    template = Template.ball(settings.radius / small.step)
    sight = Sight.of(alignment)
    for _ in range(2):
        found = _look(small, template, threads, settings)
        places = seed(found.sure, sight, outward(alignment.angles), alignment.image_shape, settings)
        tracks, places = _followed(found.peaks, sight, places, alignment.angles, settings, settings.radius)
        template = learn(small, template, tracks.points, found.sign)
    apart = np.linalg.norm(tracks.points - sight.seen(places), axis=2)
    spread = np.array([np.median(one[np.isfinite(one)]) for one in apart.T]) / np.sqrt(2 * np.log(2))
    steady = spread <= _UNSTEADY * np.median(spread) if len(spread) else np.zeros(0, bool)
    log.info("%d gold beads", len(places))
    nothing = np.full(tracks.points.shape, np.nan)
    return _beads(alignment, places, tracks, spread, steady, nothing, found, template, small, settings)


def _look(small: SmallViews, template: Template, threads: Threads, settings: BeadSettings) -> _Found:
    """Look for dark beads and for bright ones, and take those that stand out more, all together."""
    best: tuple[float, _Found] | None = None
    both = {sign: find_peaks(small, template, sign, threads) for sign in (-1, 1)}
    for sign in (-1, 1):
        belief = believe(both[sign], both[-sign])
        sure = both[sign].part(belief.sure(both[sign]))
        worth = float((sure.score * sure.height).sum())
        if best is None or worth > best[0]:
            best = worth, _Found(both[sign].part(belief.possible(both[sign])), sure, sign)
    assert best is not None
    if not len(best[1].sure.view):
        raise InputError(f"nothing in the views looks like a gold bead of {settings.diameter:.4g} px across")
    return best[1]


def _followed(
    peaks: Peaks, sight: Sight, places: Array, angles: Array, settings: BeadSettings, tolerance: float
) -> tuple[Tracks, Array]:
    """Follow beads, place them by all that was seen, and drop second copies and those seen too seldom."""
    for _ in range(2):
        tracks = follow(peaks, sight, places, angles, settings.diameter, tolerance)
        kept = (tracks.seen.sum(0) >= settings.least_views) & distinct(sight, places, tracks, settings.diameter)
        tracks = tracks.beads(kept)
        places = sight.locate(tracks.points, tracks.seen / tolerance**2, settings.depth)
    return tracks, places


def _long(tracks: Tracks, settings: BeadSettings) -> NDArray[np.bool_]:
    """Say which beads [J] were seen clearly in enough views."""
    return np.asarray(tracks.clear.sum(0) >= settings.least_views)


def _without_bad_views(
    tracks: Tracks, state: State, angles: Array, settings: BeadSettings
) -> tuple[Fit, Tracks, list[BadView]]:
    """Fit, and leave out views with too few beads, or whose beads lie elsewhere than the others have them."""
    bad: list[BadView] = []
    while True:
        tracks = Tracks(tracks.points, tracks.clear & _long(tracks, settings))
        fit = adjust(tracks.points, tracks.clear, state, Freedom())
        steady = _steady(fit, tracks, settings)
        _enough(int(steady.sum()), settings)
        counts = (tracks.clear & steady).sum(1)
        squares = (fit.residual**2).sum(2) / fit.spread**2
        off = np.where(counts > 2, ((squares > _OUTLIER) & tracks.clear & steady).sum(1) / np.maximum(counts, 1), 0)
        known = [one.view for one in bad]
        off[known], counts[known] = 0, 10**6
        t = int(counts.argmin()) if counts.min() < settings.least_in_view else int(off.argmax())
        if counts[t] < settings.least_in_view:
            beads = "1 gold bead" if counts[t] == 1 else f"{counts[t]} gold beads"
            reason = f"{beads} in it; {settings.least_in_view} or more place a view"
        elif off[t] > 0.5:
            lengths = np.linalg.norm(fit.residual[t], axis=1)[tracks.clear[t]]
            reason = f"its gold beads lie {np.median(lengths):.1f} px from where the other views have them"
        else:
            return fit, tracks, bad
        bad.append(BadView(t, float(angles[t]), reason))
        if len(angles) - len(bad) < settings.least_views:
            raise InputError(f"only {len(angles) - len(bad)} views can be aligned by beads ({reason})")
        tracks = tracks.without_view(t)
        state = fit.state


def _steady(fit: Fit, tracks: Tracks, settings: BeadSettings) -> NDArray[np.bool_]:
    enough = _long(tracks, settings)
    return np.asarray(enough & (fit.spread <= _UNSTEADY * fit.noise))


def _enough(count: int, settings: BeadSettings) -> None:
    if count < settings.least_beads:
        beads = "gold bead holds" if count == 1 else "gold beads hold"
        raise InputError(
            f"{count or 'no'} {beads} still through the views ({settings.diameter:.4g} px across); "
            f"{settings.least_beads} or more are needed"
        )


def _state(start: TiltAlignment) -> State:
    """Return the state that is ``start``, without beads."""
    size = np.sqrt(np.abs(np.linalg.det(start.matrices)))
    none = np.zeros((0, 3))
    return State(Sight.of(start).moves, np.radians(start.axes), np.radians(start.specimen_angles), -np.log(size), none)


def _sight(state: State) -> Sight:
    return Sight(state.derivatives()[1], state.d)


def _alignment(state: State, start: TiltAlignment) -> tuple[TiltAlignment, Array]:
    """Return the state as an alignment, the specimen moved to where ``start`` has it, and the places of the beads."""
    matrices = tilt_rotation(np.degrees(state.axis)) * np.exp(-state.scale)[:, None, None]
    shifts = -(matrices @ state.d[:, :, None])[:, :, 0]
    away = start.shifts - shifts
    basis = np.stack([np.cos(state.tilt), np.sin(state.tilt)], -1)
    (x, z), y = np.linalg.lstsq(basis, away[:, 0], rcond=None)[0], float(away[:, 1].mean())
    shifts = shifts + np.column_stack([basis @ (x, z), np.full(len(basis), y)])
    angles = np.degrees(state.tilt) - start.angle_offset
    alignment = replace(start, matrices=matrices, shifts=shifts, angles=angles, local=None)
    return alignment, state.places + np.array([x, y, z])


def _beads(
    alignment: TiltAlignment,
    places: Array,
    tracks: Tracks,
    spread: Array,
    steady: NDArray[np.bool_],
    left_out: Array,
    found: _Found,
    template: Template,
    small: SmallViews,
    settings: BeadSettings,
) -> Beads:
    reach = max(template.reach(_FAINT), template.radius) * small.step
    return Beads(
        places,
        tracks.points,
        Sight.of(alignment).seen(places),
        tracks.clear,
        np.where(tracks.clear[..., None], left_out, np.nan),
        spread,
        steady,
        min(reach, settings.diameter),
        found.sign < 0,
        _others(found.sure, tracks, settings.radius),
    )


def _others(sure: Peaks, tracks: Tracks, radius: float) -> Array:
    """Return what looks like a bead and belongs to none, (view, x, y) a row."""
    rows = []
    for t, x, y in zip(sure.view, *sure.point.T, strict=True):
        apart = np.linalg.norm(tracks.points[t] - (x, y), axis=1)
        if not (apart < radius).any():
            rows.append((float(t), x, y))
    return np.array(rows).reshape(-1, 3)
