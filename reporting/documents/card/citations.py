"""The BibTeX entries of a model card: the model, llama.cpp and this tool. Methods are cited in the methodology.

Of the model only that is printed which its file or its place on the hub says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from reporting.documents.card.header import base_model
from reporting.documents.references import LLAMA_CPP, bibtex
from reporting.escape import one_line
from reporting.results_folder import Json

_STRUCTURE = re.compile(r'[{}\\"@%#$&~^]')
"""Characters that mean something in BibTeX or TeX."""


def citations(model: Json, versions: Mapping[str, object]) -> str:
    """Return the entries. The model has none if nothing but its name is known."""
    tool = {"title": "{Quant Assay}", "version": str(versions.get("quant_assay", ""))}
    found = [_of_model(model), bibtex(LLAMA_CPP), _entry("software", "quant_assay", tool)]
    return "\n\n".join(one for one in found if one is not None)


def _of_model(model: Json) -> str | None:
    labels, repository = model.get("labels") or {}, base_model(model)
    author = labels.get("author") or labels.get("organization")
    if author is None and repository is None:
        return None
    fields = {
        "author": f"{{{_plain(author)}}}" if author else "",
        "title": f"{{{_plain(labels.get('name') or model['name'])}}}",
        "url": f"https://huggingface.co/{repository}" if repository else "",
    }
    return _entry("misc", "model", fields)


def _plain(text: object) -> str:
    return one_line(_STRUCTURE.sub(" ", str(text)), 200)


def _entry(kind: str, key: str, fields: Mapping[str, str]) -> str:
    lines = ",\n".join(f"  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@{kind}{{{key},\n{lines}\n}}"
