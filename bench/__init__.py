"""Measurements, ours beside the peers and the floors: ``python -m bench`` or ``make bench``.

Nothing here is asserted: a bench reports. Every number comes with the machine, versions and threads it was
measured with, in ``results/*.json``. CPU seconds are user plus system time; on a busy machine they can be trusted
where wall time can't.
"""
