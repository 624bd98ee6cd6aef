"""Charts from a results folder: altair builds them, vl-convert renders them to PNG and SVG."""
