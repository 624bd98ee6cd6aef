"""Print how a pipeline ended as one line `RESULT {json}`, for programs that watch it."""

from __future__ import annotations

import sys

from actors.store import RunDirectory, mlflow_database_path
from actors.tracking.addresses import mask_secrets
from conf.files import exists, read_json
from jobs._request import Finished, Request
from jobs._terminal import say
from reporting.file_names import in_languages
from reporting.result_line import result_line, result_of


def print_result(request: Request, finished: Finished) -> None:
    """Print the line, if stdout is no terminal and there are results."""
    run = finished.run
    if sys.stdout.isatty() or not exists(run.comparison):
        return
    analysis = read_json(run.analysis) if exists(run.analysis) else None
    value = result_of(read_json(run.comparison), analysis, failures=finished.failures, files=output_files(request, run))
    say(result_line(value))


def output_files(request: Request, run: RunDirectory) -> dict[str, str]:
    """Return the path of each output that exists, and where MLflow is."""
    made = {"results": run.comparison, "analysis": run.analysis, "charts": run.charts}
    for name, document in (
        ("report", run.report.with_suffix(".html")),
        ("answers", run.side_by_side),
        ("scorecard", run.scorecard),
    ):
        for path in in_languages(document, request.config.lang):
            made[f"{name}{path.stem.removeprefix(document.stem)}"] = path
    files = {name: str(path) for name, path in made.items() if exists(path)}
    server = request.environment.mlflow_tracking_uri
    files["mlflow"] = mask_secrets(server) if server else str(mlflow_database_path(request.mlflow_home.absolute()))
    return files
