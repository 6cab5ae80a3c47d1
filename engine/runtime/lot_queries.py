"""What can be asked about lots and gains besides `lots`: reports, pages, traces, values, imagined sales."""

from collections.abc import Callable
from typing import Any

from engine.runtime.lot_pages import lots_page
from engine.runtime.lot_trace import lots_explain
from engine.runtime.lot_values import lots_at
from engine.runtime.reports import report_gains, report_income
from engine.runtime.what_if import what_if

QUERIES: dict[str, Callable[[str, int, dict[str, Any]], dict[str, Any]]] = {
    "lots_at": lots_at,
    "lots_explain": lots_explain,
    "lots_page": lots_page,
    "report_gains": report_gains,
    "report_income": report_income,
    "what_if": what_if,
}
