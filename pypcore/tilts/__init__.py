"""Tilt series: what is known of one, and finding it."""
