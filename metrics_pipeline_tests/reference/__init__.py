"""The payloads again, computed the plainest way: what the product is compared with.

Nothing here imports the product. Every figure is read off the rows by filtering a list, adding
Decimals and dividing Fractions. Slow, and meant to be right at a glance.
"""

from __future__ import annotations

from metrics_pipeline_tests.reference.compare import differences
from metrics_pipeline_tests.reference.payload import expected_payload
from metrics_pipeline_tests.reference.periods import expected_periods
from metrics_pipeline_tests.reference.rows import Account, Budget, Category, Data, Expense
from metrics_pipeline_tests.reference.tables import empty_tables, insert, read

__all__ = [
    "Account",
    "Budget",
    "Category",
    "Data",
    "Expense",
    "differences",
    "empty_tables",
    "expected_payload",
    "expected_periods",
    "insert",
    "read",
]
