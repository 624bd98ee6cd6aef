"""The visualization worker: it draws charts from the results folder alone.

It is a plain class that takes an order and calls `reporting`. `ray.remote` is applied where it is started. The
documentation worker writes the documents.
"""

from __future__ import annotations

from actors.orders import ChartOrder
from reporting.charts.draw import ChartFiles, draw_charts


class VisualizationWorker:
    """A worker that draws all charts of a results folder."""

    def draw(self, order: ChartOrder) -> ChartFiles:
        """Draw the charts and return the files written. Raise `BadInput` if the results cannot be read."""
        return draw_charts(order.results_path, order.output_dir, order.lang)
