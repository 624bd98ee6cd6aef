"""Which judges `--judge-url` and `--judge-model` name.

A model that is a GGUF needs no server. The others belong to the servers by position, or all to the only one.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from conf.faults import BadInput, Fault
from conf.hub_ids import SCHEME
from conf.load import PACKAGE_SCHEME
from conf.names import spelled_name
from conf.user_files import is_user_path
from jobs._named_paths import named_path


def judges_of(urls: Sequence[str], models: Sequence[str]) -> list[dict[str, str]]:
    """Return the judges, as `judging.judges` holds them, in the order in which the flags name them.

    Raises:
        BadInput: there are servers and models that do not belong together.
    """
    named = [named_path(text) for text in models]
    on_servers = [one for one in named if urls and not _is_own_file(one["path"])]
    if not urls or len(urls) == len(on_servers):
        places = iter(urls)
    elif len(urls) == 1 and on_servers:
        places = iter([*urls] * len(on_servers))
    elif not on_servers:
        files = [{"name": one["name"], "model": one["path"]} for one in named]
        return [*({"name": _name_of(url), "url": url} for url in urls), *files]
    else:
        allowed = "one model for each --judge-url, or one --judge-url for all models"
        raise BadInput(Fault("--judge-model", f"{len(on_servers)} models for {len(urls)} servers", allowed))
    return [
        {"name": one["name"], "model": one["path"]} | ({"url": next(places)} if one in on_servers else {})
        for one in named
    ]


def _is_own_file(model: str) -> bool:
    """Return whether a model is a GGUF of the user's. A server may call its model by a file's name, too."""
    return model.startswith((SCHEME, PACKAGE_SCHEME)) or (model.endswith(".gguf") and is_user_path(model))


def _name_of(url: str) -> str:
    """Return a name for a judge whose model nobody has named: that of its server."""
    try:
        place = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:
        place = ""
    return spelled_name(place) or "judge"
