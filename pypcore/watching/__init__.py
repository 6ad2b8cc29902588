"""Keeping up with a microscope: what has arrived, whether it is whole, and doing it as it comes."""
