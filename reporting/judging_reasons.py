"""The metric, the outcome and the reasons of judged answers. Evaluation, judging and results use the same words."""

from __future__ import annotations

JUDGE_SCORE = "judge_score"
"""Metric of a judged benchmark: points of its scale."""
JUDGED = "judged"
"""Outcome of an answer whose score a jury gave."""
NO_JUDGE = "no_judge"
"""Reason of an answer that waits for a judge. Every record of a judged benchmark has it, whoever will judge it."""
JUDGE_FAILED = "judge_failed"
"""Reason of an answer that a judge of the jury did not judge, because it was away or failed."""
CALL_LIMIT = "call_limit"
"""Reason of an answer that was not judged because the limit of calls was reached."""
UNREADABLE = "unreadable_verdict"
"""Reason of an answer of which a judge twice gave no verdict that could be read."""
WITHOUT_JUDGE = (NO_JUDGE, JUDGE_FAILED, CALL_LIMIT, UNREADABLE)
"""Reasons of unscored records whose answer is there, and that a judge has not scored."""
CUT_WHILE_THINKING = "cut_while_thinking"
"""Reason of an answer that ended inside its thoughts, which is judged as an empty one."""
