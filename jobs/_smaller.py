"""Make a smaller plan while the work goes on, because llama.cpp got no memory for something."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from dataclasses import replace

from actors.hub import ReportBytes
from actors.orchestrator.done import adopt
from actors.orchestrator.memory_limits import Shortage, read_limits, write_limits
from actors.orchestrator.plan import Plan
from actors.orchestrator.smaller import is_smaller, smaller_limits
from actors.store import RunDirectory
from conf.faults import BadInput
from jobs._planning import plan_within
from jobs._request import Request
from jobs._run_files import write_start


class SmallerPlans:
    """The plan of a run, and the smaller ones that replace it."""

    def __init__(self, request: Request, run: RunDirectory, plan: Plan, notices: tuple[str, ...]) -> None:
        """`notices`: what every plan of the run says beside its own notices."""
        self.plan = plan
        self._request = request
        self._run = run
        self._notices = notices

    def make(self, shortage: Shortage) -> Plan | None:
        """Plan again with less memory for what got none, and keep that limit. Return None if no plan needs less.

        Everything else keeps its plan. The limit is written before any work with it, so that the same command begins
        with it when it is started again.
        """
        limits = read_limits(self._run)
        while (smaller := smaller_limits(limits, self.plan, shortage)) not in (None, limits):
            limits = smaller
            try:
                plan = plan_within(self._request, self._run, self.plan.nodes, limits, _Silent())
            except BadInput:
                return None
            if not is_smaller(plan, self.plan, shortage.loaded):
                continue
            write_limits(self._run, limits)
            adopt(plan, self._run)
            self.plan = replace(plan, notices=tuple(dict.fromkeys((*plan.notices, *self._notices))))
            write_start(self._request, self.plan, self._run)
            return self.plan
        return None


class _Silent:
    """Shows nothing: the screen shows the work that goes on, and all files are there already."""

    def say(self, line: str) -> None:
        """Drop a line."""

    def transfer(
        self, what: str, *, total_bytes: int | None = None, quiet_s: float = 0.0
    ) -> AbstractContextManager[ReportBytes]:
        """Show no transfer."""
        return contextlib.nullcontext(lambda added: None)
