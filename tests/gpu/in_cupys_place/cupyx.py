"""Likewise for ``cupyx``."""

import sys

import fake_cupyx

sys.modules[__name__] = fake_cupyx
