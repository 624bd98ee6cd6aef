"""The commands of a model card: what makes each file again, and what runs it.

A recipe of the user's own stands in no table that the reader has, so its YAML is given with it.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from conf.load import published_recipes
from conf.schema import PROTECTION_BPW
from reporting.results_folder import Json

RECIPES_FILE = "recipes.yaml"
_NAMED = {"token embedding": "embedding", "output tensor": "output"}


@dataclass(frozen=True)
class Commands:
    """Of one file."""

    file_name: str
    sha256: str | None
    make: str
    run: tuple[str, ...]
    """On the command line, and as a server."""


def commands(model: Json, arm: Json, file_name: str, matrix_name: str | None) -> Commands:
    """The commands of one arm; `matrix_name`: the file of its importance matrix, None without one."""
    parts = ["python", "-m", "jobs.quantize", "--model", _source(model)]
    if matrix_name is not None:
        parts += ["--imatrix", matrix_name]
    parts += ["--formats", recipe_name(arm), "--output", "."]
    if own_recipe(arm) is not None:
        parts += ["--config", RECIPES_FILE]
    parts += _budget_options(arm.get("budget"))
    file = shlex.quote(file_name)
    run = (f"llama-cli -m {file}", f"llama-server -m {file} -c 4096")
    return Commands(file_name, arm["sha256"], shlex.join(parts), run)


def python_lines(file_name: str) -> str:
    """How llama-cpp-python runs a file."""
    return (
        "from llama_cpp import Llama\n\n"
        f"model = Llama(model_path={file_name!r}, n_ctx=4096)\n"
        'print(model.create_chat_completion([{"role": "user", "content": "..."}])["choices"][0]["message"]["content"])'
    )


def recipes_yaml(arms: Sequence[Json], settings: Json) -> str | None:
    """What stands under `recipes:` for the recipes of the user's own among the arms; None where there are none.

    As the run's settings have them; results from before these held recipes give what they say of the arms.
    """
    configured = settings.get("recipes") or {}
    own = {
        recipe_name(arm): _set(configured[recipe_name(arm)]) if recipe_name(arm) in configured else found
        for arm in arms
        if (found := own_recipe(arm)) is not None
    }
    return yaml.safe_dump({"recipes": own}, allow_unicode=True, sort_keys=False).strip() if own else None


def _set(recipe: Json) -> Json:
    """Without what says nothing."""
    return {key: value for key, value in recipe.items() if value not in (None, "none", {}, [])}


def recipe_name(arm: Json) -> str:
    """The name that `--formats` takes: without what a protection level or a target adds to it."""
    suffix = (arm.get("budget") or {}).get("name")
    return str(arm["recipe"]).removesuffix(f"+{suffix}") if suffix else str(arm["recipe"])


def own_recipe(arm: Json) -> Json | None:
    """A recipe of the user's own, as a configuration has it; None for llama.cpp's types and publishers' names."""
    name, method = recipe_name(arm), str(arm["method"]).lower()
    published = published_recipes()
    if name == method or name in published.recipes or name in {f"{method}{end}" for end in published.suffixes}:
        return None
    recipe: dict[str, Any] = {"method": method}
    tensors = {}
    for one in arm.get("overrides") or ():
        if one["tensors"] in _NAMED:
            recipe[_NAMED[one["tensors"]]] = one["type"]
        else:
            tensors[one["tensors"]] = one["type"]
    return recipe | ({"tensors": tensors} if tensors else {})


def _source(model: Json) -> str:
    """The model as `--model` takes it: from the hub where it came from there, else by its file's name."""
    origin = model.get("origin") or {}
    if not origin.get("repository"):
        return PurePath(model["path"]).name
    source = f"{origin['repository']}@{origin['commit']}"
    return f"hf:{source}/{origin['file']}" if origin.get("file") else source


def _budget_options(budget: Json | None) -> list[str]:
    """As `jobs.quantize` takes a budget that is named by the command line; one of a recipe stands in its file."""
    name = "" if budget is None else str(budget["name"])
    if name.removeprefix("p") in PROTECTION_BPW:
        return ["--protection-level", name.removeprefix("p"), "--no-controls"]
    for start, option in (("tbpw", "--target-bpw"), ("tsize", "--target-size")):
        if name.startswith(start):
            return [option, name.removeprefix(start), "--no-controls"]
    return []
