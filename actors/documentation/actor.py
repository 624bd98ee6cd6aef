"""The documentation worker: findings and charts -> methodology, report, scorecard, model card.

A plain class that takes an order and calls `reporting`; Ray is put around it where it is started. The charts
must have been drawn before: one that is missing is left out, and the notices in the documents say so.
"""

from __future__ import annotations

from actors.orders import DocumentOrder
from reporting.documents.write import DocumentFiles, DocumentPlaces, write_documents


class DocumentationWorker:
    """Writes all documents of a results folder."""

    def write(self, order: DocumentOrder) -> DocumentFiles:
        """Write, and say what was written.

        Raises:
            BadInput: results or the user's methodology cannot be read, or Pango is not on this machine.
        """
        places = DocumentPlaces.of_run(order.run_dir)
        return write_documents(order.results_path, places, order.lang, order.methodology_path)
