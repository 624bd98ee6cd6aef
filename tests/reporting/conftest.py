"""A fixture with the charts and documents of the sample run, made once for all tests that read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reporting.charts.draw import draw_charts
from reporting.documents.write import DocumentPlaces, write_documents
from tests.reporting.results_folder import write_results


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample run with charts and documents in both languages."""
    folder = tmp_path_factory.mktemp("run")
    results = write_results(folder)
    draw_charts(results, folder / "charts", "both")
    write_documents(results, DocumentPlaces.of_run(folder), "both")
    return folder
