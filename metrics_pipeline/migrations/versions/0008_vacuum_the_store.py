"""Dead rows of the store are cleared before they are a fiftieth of it.

By default a fifth must be dead first: of a long history, which hardly changes, that is months of rewritten current
periods, and their payloads are most of the table's size.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_SETTINGS = ("autovacuum_vacuum_scale_factor", "toast.autovacuum_vacuum_scale_factor")


def upgrade() -> None:
    settings = ", ".join(f"{name} = 0.02" for name in _SETTINGS)
    op.get_bind().exec_driver_sql(f"ALTER TABLE metrics.period_metrics SET ({settings})")


def downgrade() -> None:
    op.get_bind().exec_driver_sql(f"ALTER TABLE metrics.period_metrics RESET ({', '.join(_SETTINGS)})")
