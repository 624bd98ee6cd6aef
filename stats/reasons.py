"""Why a number is undefined: the words that stand beside a null in the result files.

Codes, not sentences, so that documents can say them in any language. A number is never NaN, infinite or a
zero that stands for "unknown".
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a statistic is null."""

    NO_SAMPLING = "no_sampling"
    """The output does not depend on the seed: there is no variation between runs to speak of."""
    ONE_RUN = "one_run"
    """One seed only: a spread needs two."""
    NO_SCORED_ITEMS = "no_scored_items"
    """No record of the benchmark was scored."""
    ONE_ITEM = "one_item"
    """One scored item only: a spread needs two."""
    TOO_FEW_ITEMS = "too_few_items"
    """Fewer items than the statistic needs (three, for Cohen's d)."""
    NO_ITEM_IN_ALL_RUNS = "no_item_in_all_runs"
    """No item was scored in every run, so means of runs would compare different questions."""
    ZERO_VARIANCE = "zero_variance"
    """All values are equal: a width or a standardized effect computed from them would be a false certainty."""
    NO_PAIRED_ITEMS = "no_paired_items"
    """No item was scored in both arms under the same prompt."""
    PLANNED_SETS_DIFFER = "planned_sets_differ"
    """The two arms were planned on different items: their difference would compare different questions."""
    DERIVED = "derived"
    """Computed from the primary metric's row, where this number stands on its own scale."""
    NOT_MEASURED = "not_measured"
    """Nothing was timed."""
    ONE_CLUSTER = "one_cluster"
    """All items share one source: a spread needs two."""
    NOT_BINARY = "not_binary"
    """Scores that are not only right or wrong: nothing flips."""
    NO_FLIPS = "no_flips"
    """No answer flipped one way, so a ratio of both ways has no value."""
    NO_AA_ARM = "no_aa_arm"
    """Without sampling the noise floor needs the reference a second time, and the run has no such arm."""
    NO_INTERVAL = "no_interval"
    """It is computed from an interval that is undefined."""
    NO_MARGIN = "no_margin"
    """The configuration sets no margin for this metric."""
    DECIDED = "decided"
    """The verdict is in: nothing more is needed."""
    ON_THE_MARGIN = "on_the_margin"
    """The difference lies on the margin itself: no number of items would decide it."""
    MORE_RUNS_DO_NOT_HELP = "more_runs_do_not_help"
    """The items alone vary too much, or nothing is sampled: only more items would decide it."""
    NO_P_VALUE = "no_p_value"
    """It is computed from a p value that is undefined."""
    VOCABULARIES_DIFFER = "vocabularies_differ"
    """Arm and reference have different tokens: their distributions cannot be compared."""
    SEE_FLIPS = "see_flips"
    """Of sampled answers the noise floor is told as flips."""
    NOT_COMPARED = "not_compared"
    """No text of it was decoded beside its reference."""
    SEVERAL_RUNS = "several_runs"
    """A test for one answer an item, where items have several."""
