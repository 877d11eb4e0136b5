"""Self-contained HTML pages that show results, and the figures on them.

A page contains everything it needs, sends no request, and shows every text from data literally.
Figures are inline SVG drawn by this package: pages are small, can be printed, and follow the reader's colour scheme.
"""

from nearfar.reports.charts.bars import bar_chart
from nearfar.reports.charts.dots import Estimate, dot_interval_chart
from nearfar.reports.charts.flat_map import flat_map
from nearfar.reports.charts.heatmap import heatmap
from nearfar.reports.charts.histogram import histogram
from nearfar.reports.charts.line import line_chart
from nearfar.reports.figure import Figure
from nearfar.reports.page import Page
from nearfar.reports.tables import Table

__all__ = [
    "Estimate",
    "Figure",
    "Page",
    "Table",
    "bar_chart",
    "dot_interval_chart",
    "flat_map",
    "heatmap",
    "histogram",
    "line_chart",
]
