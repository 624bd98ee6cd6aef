"""The YAML header of a model card, as the hub reads it: licence, base model, languages, tags.

The header holds only what is known: a licence that the source does not name is left out, never guessed. Values come
from foreign files, so the YAML writer quotes them. A licence id that the hub does not know becomes `other`. Other ids
that the hub would refuse are left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from reporting.escape import one_line
from reporting.results_folder import Json

_HUB = "https://huggingface.co/"
_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_LICENCE_IDS = """
apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bigcode-openrail-m
afl-3.0 artistic-2.0 bsl-1.0 bsd bsd-2-clause bsd-3-clause c-uda cc cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-sharing-1.0 cdla-permissive-1.0 cdla-permissive-2.0 wtfpl ecl-2.0
epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 agpl-3.0 gfdl gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc lppl-1.3c
ms-pl apple-ascl mpl-2.0 odc-by odbl openrail++ osl-3.0 postgresql ofl-1.1 ncsa unlicense zlib pddl lgpl-lr
deepfloyd-if-license llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 gemma unknown other
"""
_LICENCES = frozenset(_LICENCE_IDS.split())
"""Licence ids that the hub knows (hub documentation, page "Licenses")."""


def base_model(model: Json) -> str | None:
    """Return the hub id of the model that was quantized; None if it is unknown."""
    origin, labels = model.get("origin") or {}, model.get("labels") or {}
    for found in (origin.get("repository"), labels.get("repository")):
        name = str(found or "").removeprefix(_HUB).strip("/")
        if _REPOSITORY.fullmatch(name):
            return name
    return None


def licence(labels: Mapping[str, Any]) -> dict[str, str]:
    """Return the licence fields of the header; empty if the source names no licence."""
    named = str(labels.get("license") or "").strip()
    if not named:
        return {}
    if named.lower() in _LICENCES - {"other"}:
        return {"license": named.lower()}
    fields = {"license": "other", "license_name": one_line(str(labels.get("license_name") or named), 60)}
    link = str(labels.get("license_link") or "")
    return fields | ({"license_link": one_line(link, 200)} if link.startswith("https://") else {})


def card_header(model: Json, *, with_imatrix: bool) -> str:
    """Return the header with its `---` lines, ready for the top of `README.md`."""
    labels = model.get("labels") or {}
    languages = [one for one in labels.get("languages", []) if _LANGUAGE.fullmatch(str(one))]
    base = base_model(model)
    fields: dict[str, Any] = {
        **licence(labels),
        **({"base_model": base, "base_model_relation": "quantized"} if base else {}),
        **({"language": languages} if languages else {}),
        "library_name": "gguf",
        "pipeline_tag": "text-generation",
        "tags": ["gguf", "llama.cpp", "quantized", *(["imatrix"] if with_imatrix else [])],
    }
    return f"---\n{yaml.safe_dump(fields, allow_unicode=True, sort_keys=False)}---\n"
