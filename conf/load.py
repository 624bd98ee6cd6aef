"""Build one frozen `PipelineConfig` from a YAML file and flags.

The schema's defaults come first, then the file, then the flags. Relative paths are relative to the working
directory, not to the file. All faults are reported at once.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from conf.faults import NOT_UTF8, RENAME, BadInput, Fault, is_utf8, near_names
from conf.flags import FLAGS, spelled
from conf.schema.pipeline import PipelineConfig
from conf.schema.recipes import PublishedRecipes
from conf.yaml_files import read_yaml

DEFAULT_CONFIG = Path(__file__).parent / "default.yaml"
PUBLISHED_RECIPES = Path(__file__).parent / "quantizations.yaml"
PACKAGE_SCHEME = "package:"


def load(config_path: str | Path | None, flags: Mapping[str, Any]) -> PipelineConfig:
    """Return the configuration of this run.

    Args:
        config_path: a YAML file; None means `conf/default.yaml`.
        flags: values from the command line, nested like the schema. They override the file.

    Raises:
        BadInput: with every fault found.
    """
    values = _merge(read_yaml(Path(config_path) if config_path else DEFAULT_CONFIG, key="--config"), flags)
    undecodable = [Fault(spelled(place), text, NOT_UTF8, RENAME) for place, text in _undecodable(values, ())]
    if undecodable:
        raise BadInput(undecodable)
    try:
        return PipelineConfig.model_validate(values)
    except ValidationError as error:
        raise BadInput(faults_of(error, PipelineConfig)) from None


@functools.cache
def published_recipes() -> PublishedRecipes:
    """Return the recipes that come with the project (`conf/quantizations.yaml`)."""
    return PublishedRecipes.model_validate(read_yaml(PUBLISHED_RECIPES, key=str(PUBLISHED_RECIPES)))


def resolve_path(spec: str, *, key: str) -> str:
    """Return an absolute path for `spec`; an ending `#PART/PARTS` is kept.

    `package:NAME/FILE` is a file of an installed package, which is found without importing the package. Raises
    `BadInput`, naming `key`, if the package is not installed, or if there is no name: that would be this folder.
    """
    path, mark, part = spec.partition("#")
    if not path.strip():
        raise BadInput(Fault(key, spec, "the name of a file or a folder", "Is a variable of the shell empty?"))
    if path.startswith(PACKAGE_SCHEME):
        package, _, file = path.removeprefix(PACKAGE_SCHEME).partition("/")
        found = importlib.util.find_spec(package)
        if found is None or not found.submodule_search_locations:
            raise BadInput(Fault(key, spec, "a file of an installed package", "For the demo, run `make setup`."))
        path = str(Path(next(iter(found.submodule_search_locations))) / file)
    return f"{Path(path).absolute()}{mark}{part}"


def dump_yaml(config: PipelineConfig) -> str:
    """Return the configuration as YAML, for `config.yaml` in the run directory."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def _undecodable(value: Any, place: tuple[int | str, ...]) -> Iterator[tuple[tuple[int | str, ...], str]]:
    """Yield each text with a lone surrogate, with its place: Python makes them of bytes that are not UTF-8."""
    if isinstance(value, str) and not is_utf8(value):
        yield place, value
    elif isinstance(value, Mapping):
        for key, below in value.items():
            yield from _undecodable(below, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for number, below in enumerate(value):
            yield from _undecodable(below, (*place, number))


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` updated by `over`: mappings are merged key by key, all other values are replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(value, Mapping) and isinstance(below, Mapping) else value
    return merged


def faults_of(error: ValidationError, schema: type[BaseModel], where: str = "") -> list[Fault]:
    """Turn the errors that pydantic found by `schema` into faults.

    `where` is put before the keys: the name of the file that the schema describes. A list with a wrong item also
    counts as too short for pydantic, which is left out.
    """
    found = error.errors(include_url=False)
    below = {details["loc"][:depth] for details in found for depth in range(len(details["loc"]))}
    shown = [details for details in found if details["type"] != "too_short" or details["loc"] not in below]
    return [_fault_of(details, schema, where) for details in shown]


def _fault_of(details: ErrorDetails, schema: type[BaseModel], where: str) -> Fault:
    """Turn one pydantic error into a `Fault`, with a hint for an unknown key."""
    # pydantic marks an error in a mapping's key with "[key]"; the key itself comes just before that mark.
    location = [part for part in details["loc"] if part != "[key]"]
    key = where + ".".join(str(part) for part in location)
    if details["type"] == "extra_forbidden":
        known = list(_fields_at(details["loc"][:-1], schema))
        return Fault(key, details["input"], f"a known key ({', '.join(known)})", near_names(str(location[-1]), known))
    if details["type"] == "missing":
        step = "`--help` lists all options." if schema is PipelineConfig else ""
        return Fault(FLAGS.get(key, key), None, "a value; it is required", step)
    if not location and isinstance(details["input"], Mapping):  # a rule about several keys
        return Fault(where.removesuffix(": "), ", ".join(map(str, details["input"])), _allowed(details))
    return Fault(spelled(location) if schema is PipelineConfig else key, details["input"], _allowed(details))


_IN_WORDS = {
    "tuple_type": "a list",
    "list_type": "a list",
    "mapping_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
}
"""What pydantic says in the words of Python."""


def _allowed(details: ErrorDetails) -> str:
    if details["type"] in _IN_WORDS:
        return _IN_WORDS[details["type"]]
    if details["type"] == "too_short":
        return f"a list with at least {details['ctx']['min_length']} item{'s' * (details['ctx']['min_length'] > 1)}"
    message = details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return message[0].lower() + message[1:]


def _fields_at(location: tuple[int | str, ...], schema: type[BaseModel]) -> Mapping[str, Any]:
    """Return the schema's fields at a place in the tree, ignoring list positions and names that the user chose."""
    node = schema
    for part in location:
        if isinstance(part, int) or part not in node.model_fields:
            continue
        annotation = node.model_fields[part].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        node = next(kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel))
    return node.model_fields
