"""A fixture with the charts and documents of the sample run, made once for all tests that read them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filelock import FileLock

from reporting.charts.draw import draw_charts
from reporting.documents.write import DocumentPlaces, write_documents
from tests.reporting.results_folder import write_results


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample run with charts and documents in both languages. All processes of the tests share it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, mark = shared / "sample_run", shared / "sample_run.done"
    with FileLock(shared / "sample_run.lock"):
        if not mark.exists():
            results = write_results(folder)
            draw_charts(results, folder / "charts", "both")
            write_documents(results, DocumentPlaces.of_run(folder), "both")
            mark.touch()
    return folder
