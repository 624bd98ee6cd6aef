"""Token class weights of an importance matrix: what its manifest and its file say about them.

`actors.token_classes` defines the classes; `actors.llama.activations` computes the weighted sums.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.token_classes import TokenClass, class_rules, count_tokens
from conf.schema.protection import TokenWeights


@dataclass(frozen=True)
class ClassUse:
    """One class of tokens in one matrix."""

    weight: float
    tokens: int
    share: float
    """Fraction of all tokens."""
    weighted_share: float
    """Fraction of the total token weight: how much of the matrix comes from these tokens."""


@dataclass(frozen=True)
class TokenWeighting:
    """The weighting that a matrix was made with."""

    rules: str
    """Hash of the rules and word lists that define the classes."""
    classes: Mapping[str, ClassUse]
    """Keys are labels: `mathematics`, `science`, `other`."""


def describe_weighting(classes: Sequence[NDArray[np.uint8]], weights: TokenWeights) -> TokenWeighting:
    """Return weights and token counts over all chunks (at least one)."""
    weight_of = {kind.label: float(getattr(weights, kind.label)) for kind in TokenClass}
    return make_weighting(class_rules(), weight_of, count_tokens(np.concatenate(classes)))


def make_weighting(rules: str, weights: Mapping[str, float], tokens: Mapping[str, int]) -> TokenWeighting:
    """Compute the shares from weight and token count of each class, by label. There must be at least one token."""
    n_tokens = sum(tokens.values())
    total = sum(weights[label] * count for label, count in tokens.items())
    uses = {
        label: ClassUse(weights[label], count, count / n_tokens, weights[label] * count / total)
        for label, count in tokens.items()
    }
    return TokenWeighting(rules, uses)


def weighting_from_json(row: Mapping[str, Any]) -> TokenWeighting:
    """Read a weighting from a manifest's JSON."""
    return TokenWeighting(row["rules"], {label: ClassUse(**use) for label, use in row["classes"].items()})
