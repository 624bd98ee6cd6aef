"""The documentation worker: it writes methodology, report, scorecard and model card from findings and charts.

It is a plain class that takes an order and calls `reporting`. `ray.remote` is applied where it is started. Draw the
charts first: a missing chart is left out, and a notice in the documents says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.orders import DocumentOrder

if TYPE_CHECKING:
    from reporting.documents.write import DocumentFiles


class DocumentationWorker:
    """A worker that writes all documents of a results folder."""

    def write(self, order: DocumentOrder) -> DocumentFiles:
        """Write the documents and return the files written.

        Raises:
            BadInput: the results or the user's methodology cannot be read, or Pango is not installed.
        """
        # Imported here, because driver and orchestrator import this class, too, and never lay out a page.
        from reporting.documents.write import DocumentPlaces, write_documents

        places = DocumentPlaces.of_run(order.run_dir)
        return write_documents(order.results_path, places, order.lang, order.methodology_path)
