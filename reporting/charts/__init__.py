"""Draw the charts of a results folder: altair builds them, vl-convert renders them as PNG and SVG."""
