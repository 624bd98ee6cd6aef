"""How much the tokens of each class count in a weighted importance matrix: what its manifest and its file say of it.

The classes come from `actors.token_classes`, the sums from `actors.llama.activations`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from actors.token_classes import TokenClass, class_rules, count_tokens
from conf.schema import TokenWeights


@dataclass(frozen=True)
class ClassUse:
    """One class of tokens in one matrix."""

    weight: float
    tokens: int
    share: float
    """Part of all tokens."""
    weighted_share: float
    """Part of the sum of all tokens' weights: how much of the matrix these tokens make up."""


@dataclass(frozen=True)
class TokenWeighting:
    """What a weighted matrix was made with."""

    rules: str
    """Identity of the rules and lists by which tokens were told apart."""
    classes: Mapping[str, ClassUse]
    """By label: `mathematics`, `science`, `other`."""


def describe_weighting(classes: Sequence[NDArray[np.uint8]], weights: TokenWeights) -> TokenWeighting:
    """Weights and counts over all chunks, of which there is at least one."""
    weight_of = {kind.label: float(getattr(weights, kind.label)) for kind in TokenClass}
    return make_weighting(class_rules(), weight_of, count_tokens(np.concatenate(classes)))


def make_weighting(rules: str, weights: Mapping[str, float], tokens: Mapping[str, int]) -> TokenWeighting:
    """From weight and number of tokens of each class, by label; there is at least one token."""
    n_tokens = sum(tokens.values())
    total = sum(weights[label] * count for label, count in tokens.items())
    uses = {
        label: ClassUse(weights[label], count, count / n_tokens, weights[label] * count / total)
        for label, count in tokens.items()
    }
    return TokenWeighting(rules, uses)


def weighting_from_json(row: Mapping[str, Any]) -> TokenWeighting:
    """From a manifest's JSON."""
    return TokenWeighting(row["rules"], {label: ClassUse(**use) for label, use in row["classes"].items()})
