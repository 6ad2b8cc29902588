"""The site: these pages, by Sphinx from Markdown. ``make docs`` builds it."""

import tomllib
from pathlib import Path

project = "pypcore"
author = "The pypcore authors"
project_copyright = "The pypcore authors"
release = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"pypcore {release}"
html_copy_source = False
html_show_sphinx = False
