"""Tomograms from aligned tilt series: arrays in, arrays out."""
