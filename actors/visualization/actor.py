"""The visualization worker: findings -> charts.

A plain class that takes an order and calls `reporting`; Ray is put around it where it is started. It draws
from the results folder alone and leaves documents to the documentation worker.
"""

from __future__ import annotations

from actors.orders import ChartOrder
from reporting.charts.draw import ChartFiles, draw_charts


class VisualizationWorker:
    """Draws all charts of a results folder."""

    def draw(self, order: ChartOrder) -> ChartFiles:
        """Draw, and say what was written. Raises BadInput where the results cannot be read."""
        return draw_charts(order.results_path, order.output_dir, order.lang)
