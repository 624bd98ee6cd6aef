"""The JavaScript that draws charts on the page: vega, vega-lite and vega-embed, as vl-convert brings them along."""

from __future__ import annotations

import functools

import vl_convert

_EXPORTS = "window.vegaEmbed = vegaEmbed;"


@functools.cache  # it takes a second
def vega_bundle() -> str:
    """Return the libraries as one script that loads nothing else and sets `window.vegaEmbed`."""
    script: str = vl_convert.javascript_bundle(_EXPORTS)
    if "</script" in script or "<!--" in script:
        raise ValueError("the script of vl-convert cannot stand inside a page")
    return script
