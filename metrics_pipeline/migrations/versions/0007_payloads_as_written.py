"""Payloads kept as the text they were written as.

`jsonb` parses and builds each one anew: that was half of the time that storing took, and lost the order of keys.
"""

from alembic import op

from metrics_pipeline.migrations.period_totals import retype_payloads

revision = "0007"
down_revision = "0006"

# Payloads from before have lost their order, and seals are of another type: all are computed again.
OUTDATED = "UPDATE metrics.period_metrics SET fingerprint = 'of another type', seal = NULL"


def upgrade() -> None:
    retype_payloads(op.get_bind(), "json")
    op.get_bind().exec_driver_sql(OUTDATED)


def downgrade() -> None:
    retype_payloads(op.get_bind(), "jsonb")
    op.get_bind().exec_driver_sql(OUTDATED)
