"""Payloads are compressed only where they would not fit a page.

By default PostgreSQL compresses rows of over 2 kB, as those of most months and years are: 60 % of the work of storing
them, to make the store an eighth smaller, as the many rows of days are below that and never were compressed.
"""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE metrics.period_metrics SET (toast_tuple_target = 8160)")


def downgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE metrics.period_metrics RESET (toast_tuple_target)")
