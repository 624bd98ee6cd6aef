"""Why a number is undefined: the codes that stand beside a null in the result files.

They are codes, not sentences, so documents can express them in any language. A number is never NaN, infinite or a zero
that stands for "unknown".
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a statistic is null."""

    NO_SAMPLING = "no_sampling"
    """The output does not depend on the seed, so there is no variation between runs."""
    ONE_RUN = "one_run"
    """There is only one seed. A spread needs two."""
    NO_SCORED_ITEMS = "no_scored_items"
    """No record of the benchmark was scored."""
    ONE_ITEM = "one_item"
    """There is only one scored item. A spread needs two."""
    TOO_FEW_ITEMS = "too_few_items"
    """There are fewer items than the statistic needs (three for Cohen's d)."""
    NO_ITEM_IN_ALL_RUNS = "no_item_in_all_runs"
    """No item was scored in every run, so means of runs would compare different questions."""
    ZERO_VARIANCE = "zero_variance"
    """All values are equal. A width or a standardized effect computed from them would claim a false certainty."""
    NO_PAIRED_ITEMS = "no_paired_items"
    """No item was scored in both arms under the same prompt."""
    PLANNED_SETS_DIFFER = "planned_sets_differ"
    """The two arms were planned on different items, so their difference would compare different questions."""
    DERIVED = "derived"
    """It is computed from the row of the primary metric, which has this number on its own scale."""
    NOT_MEASURED = "not_measured"
    """Nothing was timed."""
    ONE_CLUSTER = "one_cluster"
    """All items share one source. A spread needs two."""
    NOT_BINARY = "not_binary"
    """Some scores are neither right nor wrong, so nothing flips."""
    NO_FLIPS = "no_flips"
    """No answer flipped in one of the two directions, so the ratio of both is undefined."""
    NO_AA_ARM = "no_aa_arm"
    """Without sampling the noise floor needs a second run of the reference (an A/A arm), and there is none."""
    NO_INTERVAL = "no_interval"
    """It is computed from an interval that is undefined."""
    NO_MARGIN = "no_margin"
    """The configuration sets no margin for this metric."""
    DECIDED = "decided"
    """The verdict is decided, so nothing more is needed."""
    ON_THE_MARGIN = "on_the_margin"
    """The difference lies exactly on the margin, so no number of items would decide it."""
    MORE_RUNS_DO_NOT_HELP = "more_runs_do_not_help"
    """The items alone vary too much, or nothing is sampled. Only more items would decide it."""
    NO_P_VALUE = "no_p_value"
    """It is computed from a p value that is undefined."""
    VOCABULARIES_DIFFER = "vocabularies_differ"
    """Arm and reference have different tokens, so their distributions cannot be compared."""
    SEE_FLIPS = "see_flips"
    """For sampled answers the noise floor is reported as flips."""
    NOT_COMPARED = "not_compared"
    """No text was decoded side by side with the reference."""
    SEVERAL_RUNS = "several_runs"
    """The test takes one answer per item, and the items have several."""
    EARLY_STOP = "early_stop"
    """Results were looked at while items came in, to stop early. Statistics that assume a fixed number of items are
    not valid."""
    BENCHMARK_MISSING = "benchmark_missing"
    """A benchmark of the category has no result. A mean over the others would compare different benchmarks."""
