"""How Sphinx builds the documentation: `make docs`."""

from bhds import __version__

project = "BHDS"
author = "The BHDS authors"
copyright = author  # noqa: A001 -- Sphinx's name
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"BHDS {release}"

nitpicky = True
# Types of other projects, in signatures: their documentation is not at hand.
nitpick_ignore_regex = [("py:.*", ".*")]

# Not asked by `make docs-links`: the exchange's own hosts are settings, not pages.
linkcheck_ignore = [r"https://.*binance\.(com|vision).*", r"http://127\.0\.0\.1.*"]
linkcheck_anchors_ignore_for_url = [r"https://github\.com/.*"]
linkcheck_timeout = 20
