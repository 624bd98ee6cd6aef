"""Which programs made a file: what manifests say of versions."""

from __future__ import annotations

import platform
from importlib import metadata

from actors.llama import library
from conf import VERSION


def versions() -> dict[str, str]:
    """Ours, Python's, and those of what reads and writes GGUF files. More than the keys hold, for people to read."""
    gguf = metadata.version("gguf")
    return {"quant_assay": VERSION, "python": platform.python_version(), "gguf": gguf, **library.versions()}
