"""Watch a pipeline from anywhere, through the Ray dashboard: `python -m jobs.watch --pipeline-id ID --address URL`.

It asks the dashboard's REST API only, and changes nothing. On a terminal it shows the screen of the running pipeline;
elsewhere it prints a line whenever something has changed. Exit codes: 0 the pipeline is done (or goes on, with
`--once`); 1 it failed, or cannot be watched; 2 bad input, which includes an unknown id; 3 it was stopped; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from conf.environment import read_ray_token
from conf.faults import BadInput
from jobs._dashboard import DEFAULT_ADDRESS, Dashboard, DashboardError, Problem
from jobs._parser import EXIT_BAD_INPUT, Parser
from jobs._terminal import complain, say
from jobs._watched import NO_SUCH_PIPELINE, PipelineView, jobs_of, nameless_jobs, said, view_of
from reporting.escape import hanging
from reporting.terminal.progress_screen import ScreenLang, draw

FIRST_LINES, MORE_LINES = 20, 200
"""Lines of the log that are read: most often the newest progress is in the first number, always in the second."""
MOST_NAMELESS = 5
SLOWEST_S = 60.0
PATIENCE_S = 600.0
"""Time without a usable answer after which watching ends."""
_FINAL = {"done": 0, "failed": 1, "stopped": 3}
_HOPELESS = (Problem.TOKEN_MISSING, Problem.TOKEN_WRONG, Problem.NO_DASHBOARD)
"""Problems of the first look that do not go away by themselves. Later, a dashboard that starts again may have them."""
_NO_ANSWER = tuple(problem for problem in Problem if problem is not Problem.LOG_GONE)
EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


def parser() -> argparse.ArgumentParser:
    """Make the command line parser."""
    made = Parser(
        prog="python -m jobs.watch",
        description="Watch a pipeline through the Ray dashboard. A token is taken from RAY_AUTH_TOKEN, the file of "
        "RAY_AUTH_TOKEN_PATH, or ~/.ray/auth_token.",
    )
    made.add_argument("--pipeline-id", required=True, metavar="ID", help="the pipeline")
    made.add_argument(
        "--address", default=DEFAULT_ADDRESS, metavar="URL", help=f"dashboard (default {DEFAULT_ADDRESS})"
    )
    made.add_argument("--once", action="store_true", help="show the state once, and stop")
    made.add_argument("--interval", type=float, default=2.0, metavar="SECONDS", help="between two looks (default 2)")
    made.add_argument("--lang", choices=("ja", "en"), default="en", help="language of the screen (default en)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job and return the exit code."""
    made = parser()
    options = made.parse_args(argv)
    if not 0.5 <= options.interval <= 3600:
        made.error(f"--interval: got {options.interval:g}; allowed: 0.5 to 3600 seconds")
    try:
        dashboard = Dashboard(options.address, read_ray_token())
    except BadInput as error:
        complain(hanging(str(error)))
        return EXIT_BAD_INPUT
    try:
        with dashboard:
            return _once(dashboard, options) if options.once else _follow(dashboard, options)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def look(dashboard: Dashboard, pipeline_id: str, before: PipelineView | None = None) -> PipelineView:
    """Return what the dashboard says of a pipeline now; if it gives nothing, the view before, with the problem."""
    try:
        return _look(dashboard, pipeline_id)
    except DashboardError as error:
        return replace(before or PipelineView(pipeline_id), problem=error.problem.value)


def _look(dashboard: Dashboard, pipeline_id: str) -> PipelineView:
    listed = dashboard.jobs()
    own = jobs_of(listed, pipeline_id)
    if not own:
        own = [job for job in nameless_jobs(listed)[:MOST_NAMELESS] if _says(dashboard, job, pipeline_id)][:1]
    log, problem = None, None
    if own and own[-1].get("driver_node_id"):
        node, submission = str(own[-1]["driver_node_id"]), str(own[-1]["submission_id"])
        try:
            log = dashboard.tail(node, submission, FIRST_LINES)
            if said(log, pipeline_id).progress is None:
                log = dashboard.tail(node, submission, MORE_LINES)
        except DashboardError as error:
            if error.problem is not Problem.LOG_GONE:
                raise
            problem = error.problem.value
    return view_of(pipeline_id, own, log, _nodes(dashboard) if own else (), problem)


def _nodes(dashboard: Dashboard) -> list[dict[str, Any]]:
    """Return the use of the nodes; nothing if it cannot be read, because all else is worth showing without it."""
    try:
        return dashboard.nodes()
    except DashboardError:
        return []


def _says(dashboard: Dashboard, job: Mapping[str, Any], pipeline_id: str) -> bool:
    """Return whether a job prints the progress of this pipeline."""
    if not job.get("driver_node_id"):
        return False
    try:
        log = dashboard.tail(str(job["driver_node_id"]), str(job["submission_id"]), MORE_LINES)
    except DashboardError:
        return False
    return said(log, pipeline_id).progress is not None


def _once(dashboard: Dashboard, options: argparse.Namespace) -> int:
    view = look(dashboard, options.pipeline_id)
    width = Console().width if sys.stdout.isatty() else 80
    say("\n".join(draw(view.as_json(), width, cast(ScreenLang, options.lang))))
    return _exit_code(view)


def _exit_code(view: PipelineView) -> int:
    if view.problem == NO_SUCH_PIPELINE:
        return EXIT_BAD_INPUT
    if view.state in _FINAL:
        return _FINAL[view.state]
    return EXIT_FAILED if view.state == "unknown" else 0


def _follow(dashboard: Dashboard, options: argparse.Namespace) -> int:
    """Show the pipeline until it ends, or until it cannot be watched."""
    lang = cast(ScreenLang, options.lang)
    screen: _Live | _Changes = _Live(lang) if sys.stdout.isatty() else _Changes(lang)
    interval, view = options.interval, None
    answered, answered_s = False, time.monotonic()
    with screen:
        while True:
            view = look(dashboard, options.pipeline_id, view)
            screen.show(view)
            if view.problem not in _NO_ANSWER:
                answered, answered_s = True, time.monotonic()
            ended = view.problem not in _NO_ANSWER and view.state in _FINAL
            hopeless = not answered and view.problem in _HOPELESS
            if ended or hopeless or view.problem == NO_SUCH_PIPELINE:
                return _exit_code(view)
            if time.monotonic() - answered_s > PATIENCE_S:
                return EXIT_FAILED
            slower = view.problem == Problem.TOO_MANY_REQUESTS
            interval = max(min(2 * interval, SLOWEST_S), options.interval) if slower else options.interval
            time.sleep(interval)


class _Live:
    """A screen that is overwritten in place."""

    def __init__(self, lang: ScreenLang) -> None:
        self._lang = lang
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False)

    def __enter__(self) -> _Live:
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.__exit__(None, None, None)

    def show(self, view: PipelineView) -> None:
        # Text, not markup: names from the user's files may contain brackets.
        lines = draw(view.as_json(), self._console.width - 1, self._lang)
        self._live.update(Text("\n".join(lines), no_wrap=True), refresh=True)


class _Changes:
    """A line per change, for output that is not a terminal."""

    def __init__(self, lang: ScreenLang) -> None:
        self._lang = lang
        self._last = ""

    def __enter__(self) -> _Changes:
        return self

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()

    def show(self, view: PipelineView) -> None:
        # Times and the use of resources change all the time: they alone are no change.
        steady = replace(view, elapsed_s=None, seconds_left=None, cpu_percent=None, tokens_per_second=None, nodes=())
        line = "  ".join(draw(steady.as_json(), 160, self._lang))
        if line != self._last:
            say(line)
            self._last = line


if __name__ == "__main__":
    sys.exit(main())
