"""The visualization worker: it draws charts from the results folder alone.

It is a plain class that takes an order and calls `reporting`. `ray.remote` is applied where it is started. The
documentation worker writes the documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.orders import ChartOrder

if TYPE_CHECKING:
    from reporting.charts.draw import ChartFiles


class VisualizationWorker:
    """A worker that draws all charts of a results folder."""

    def draw(self, order: ChartOrder) -> ChartFiles:
        """Draw the charts and return the files written. Raise `BadInput` if the results cannot be read."""
        # Imported here, because driver and orchestrator import this class, too, and never draw.
        from reporting.charts.draw import draw_charts

        return draw_charts(order.results_path, order.output_dir, order.lang)
