"""Read what the command line names as `[NAME=]MODEL`."""

from __future__ import annotations

from actors.recipes import match_recipe_at_end
from conf.hub_ids import stem_of
from conf.names import spelled_name
from conf.user_files import is_user_path


def named_path(text: str) -> dict[str, str]:
    """Split `[NAME=]MODEL`. The default name is the file's or repository's, without the type or recipe at its end.

    A file that exists under the whole text, such as `epoch=4-step=100.gguf`, has the default name.
    """
    name, mark, path = text.partition("=")
    if mark and "/" not in name and not is_user_path(text):
        return {"name": name, "path": path}
    return {"name": model_name(text), "path": text}


def model_name(spec: str) -> str:
    """Return the name of a model, as in `SmolLM2-135M.Q4_1.gguf` -> `SmolLM2-135M`."""
    stem = stem_of(spec) or "model"
    ending = match_recipe_at_end(stem)
    return spelled_name(stem[: ending.start()] if ending else stem)
