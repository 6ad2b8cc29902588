"""Watching with the pool of this machine: one driver of the job for as long as it goes on.

All that counts is in the records: whoever starts the same command again goes on where this one died.
"""

from collections.abc import Sequence
from dataclasses import replace

from pypcore.job import Job
from pypcore.launch import Launched, launch
from pypcore.local import Consent, driving, fit, redo_refused
from pypcore.plan import make_plan
from pypcore.request import Request
from pypcore.watching.intake import Intake, WatchOptions
from pypcore.watching.report import WatchListener, WatchOutcome
from pypcore.watching.session import Session

MANY = 1_000_000  # items that may come: nothing but the request and the machine limits what runs at once


def watch_here(
    job: Job,
    request: Request,
    options: WatchOptions,
    *,
    listener: WatchListener | None = None,
    consent: Consent | None = None,
    argv: Sequence[str] = (),
) -> WatchOutcome:
    """Do what arrives on this machine until it is idle or stopped. UsageError, SetupError: nothing was begun."""
    request = merging_as_it_goes(request)
    launched = known_so_far(job, request, consent or Consent())
    listener = listener or WatchListener()
    intake = Intake(job, request, launched.items, options, listener.note)
    at_most = make_plan(MANY, request.resources.split)
    split_slots, merge_slots = fit(request, replace(launched, plan=at_most))
    job.create()
    outcome = WatchOutcome(launched, launched.states)
    with driving(job, request, outcome, argv) as run:
        session = Session(job, run, request, intake, options, listener, split_slots, merge_slots, outcome)
        session.go()
    return outcome


def merging_as_it_goes(request: Request) -> Request:
    """Return the request with Merge allowed to go on without what is still to come."""
    return replace(request, policy=replace(request.policy, allow_missing=True))


def known_so_far(job: Job, request: Request, consent: Consent) -> Launched:
    """Return where the items stand that the job has already; UsageError where they were made with other settings."""
    if not job.exists() or next(job.items(), None) is None:
        return Launched(request, [], [], [], [], make_plan(1, request.resources.split), 0)
    launched = launch(job, request, retry_failed=consent.retry_failed, discover=False)
    if launched.overwritten and not consent.redo:
        raise redo_refused(job, launched)
    return launched
