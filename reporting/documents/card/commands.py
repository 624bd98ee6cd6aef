"""The commands around a published file: how its reader fetches and runs it, and how it was made.

A custom recipe is not known to others, so the publisher also gets its YAML.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import yaml

from conf.load import published_recipes
from conf.schema.protection import PROTECTION_BPW
from reporting.results_folder import Json

RECIPES_FILE = "recipes.yaml"
_OLLAMA_NAME = re.compile(r"[\w-]+/[\w.-]{1,80}:\w[\w.-]{0,79}", re.ASCII)
"""A model that Ollama fetches from the hub: the repository, and a file of it as the tag."""
_NAMED_TENSORS = {"token embedding": "embedding", "output tensor": "output"}


@dataclass(frozen=True)
class Making:
    """How one file was made. This concerns its publisher."""

    file_name: str
    sha256: str | None
    command: str
    """Makes the file with `jobs.quantize`."""


@dataclass(frozen=True)
class Running:
    """The commands that fetch and run a file. These concern its reader."""

    file_name: str
    download: str
    llama_cpp: str
    ollama: str
    lm_studio: str


def making(model: Json, arm: Json, file_name: str, matrix_name: str | None) -> Making:
    """Return how an arm was made. `matrix_name` is the file of its importance matrix, None without one."""
    parts = ["python", "-m", "jobs.quantize", "--model", _source(model)]
    if matrix_name is not None:
        parts += ["--imatrix", matrix_name]
    parts += ["--formats", recipe_name(arm), "--output", "."]
    if custom_recipe(arm) is not None:
        parts += ["--config", RECIPES_FILE]
    parts += _budget_options(arm.get("budget"))
    return Making(file_name, arm["sha256"], shlex.join(parts))


def running(repository: str, file_name: str) -> Running:
    """Return the commands for a file of a repository on the hub."""
    file = shlex.quote(file_name)
    return Running(
        file_name=file_name,
        download=f"hf download {shlex.quote(repository)} {file} --local-dir .",
        llama_cpp=f"llama-cli -m {file}\nllama-server -m {file} -c 4096",
        ollama=_ollama(repository, file_name),
        lm_studio=f"lms import {file}",
    )


def _ollama(repository: str, file_name: str) -> str:
    """Return the command for Ollama. It fetches a file by its name if that is a valid tag."""
    if _OLLAMA_NAME.fullmatch(f"{repository}:{file_name}"):
        return f"ollama run hf.co/{repository}:{file_name}"
    name = re.sub(r"[^a-z0-9._-]+", "-", PurePath(file_name).stem.lower()).strip("-._") or "model"
    made = shlex.quote(f"FROM ./{file_name}")
    return f"echo {made} > Modelfile\nollama create {name} -f Modelfile\nollama run {name}"


def recipes_yaml(arms: Sequence[Json], settings: Json) -> str | None:
    """Return the YAML of the custom recipes among the arms, under the key `recipes`; None if there are none.

    A recipe comes from the run's settings. Older results have no recipes there: then it is rebuilt from the arm.
    """
    configured = settings.get("recipes") or {}
    custom = {
        recipe_name(arm): _without_empty(configured[recipe_name(arm)]) if recipe_name(arm) in configured else found
        for arm in arms
        if (found := custom_recipe(arm)) is not None
    }
    return yaml.safe_dump({"recipes": custom}, allow_unicode=True, sort_keys=False).strip() if custom else None


def _without_empty(recipe: Json) -> Json:
    """Return a recipe without the keys that set nothing."""
    return {key: value for key, value in recipe.items() if value not in (None, "none", {}, [])}


def recipe_name(arm: Json) -> str:
    """Return the recipe's name as `--formats` takes it, without the suffix of a protection level or target."""
    suffix = (arm.get("budget") or {}).get("name")
    return str(arm["recipe"]).removesuffix(f"+{suffix}") if suffix else str(arm["recipe"])


def custom_recipe(arm: Json) -> Json | None:
    """Return a custom recipe as a configuration holds it; None for llama.cpp's types and publishers' names."""
    name, method = recipe_name(arm), str(arm["method"]).lower()
    published = published_recipes()
    if name == method or name in published.recipes or name in {f"{method}{end}" for end in published.suffixes}:
        return None
    recipe: dict[str, Any] = {"method": method}
    tensors = {}
    for one in arm.get("overrides") or ():
        if one["tensors"] in _NAMED_TENSORS:
            recipe[_NAMED_TENSORS[one["tensors"]]] = one["type"]
        else:
            tensors[one["tensors"]] = one["type"]
    return recipe | ({"tensors": tensors} if tensors else {})


def _source(model: Json) -> str:
    """Return the model as `--model` takes it: its place on the hub if it came from there, else its file name."""
    origin = model.get("origin") or {}
    if not origin.get("repository"):
        return PurePath(model["path"]).name
    source = f"{origin['repository']}@{origin['commit']}"
    return f"hf:{source}/{origin['file']}" if origin.get("file") else source


def _budget_options(budget: Json | None) -> list[str]:
    """Return the options of `jobs.quantize` for a budget set on the command line. A recipe's budget is in its YAML."""
    name = "" if budget is None else str(budget["name"])
    if name.removeprefix("p") in PROTECTION_BPW:
        return ["--protection-level", name.removeprefix("p"), "--no-controls"]
    for start, option in (("tbpw", "--target-bpw"), ("tsize", "--target-size")):
        if name.startswith(start):
            return [option, name.removeprefix(start), "--no-controls"]
    return []
