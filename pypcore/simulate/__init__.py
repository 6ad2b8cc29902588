"""Simulated movies with everything known: what the demo, the tests and the bench measure against.

The parts, in the order of the electrons: ``specimen`` (a contrast image), ``motion`` (where it goes),
``detector`` (gain, defects), ``movie`` (frames of counts), ``write`` (files), ``oracle`` and ``score`` (how
close a correction came). No formula here is shared with the code under test.
"""
