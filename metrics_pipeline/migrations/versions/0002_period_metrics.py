"""The store of computed payloads, and the flat view of it for analysts."""

from alembic import op

from metrics_pipeline.migrations.period_totals import PERIOD_TOTALS

revision = "0002"
down_revision = "0001"

STORE = """
CREATE TABLE metrics.period_metrics (
    account_id bigint NOT NULL,
    grain text NOT NULL CHECK (grain IN ('day', 'week', 'month', 'year')),
    period_start date NOT NULL,
    payload jsonb NOT NULL,
    version bigint NOT NULL,
    as_of date NOT NULL,
    is_current boolean NOT NULL,
    fingerprint text NOT NULL,
    content_hash text NOT NULL,
    expense_count integer NOT NULL,
    transaction_count integer NOT NULL,
    computed_at timestamptz NOT NULL,
    computed_by text NOT NULL,
    PRIMARY KEY (account_id, grain, period_start)
);
CREATE INDEX period_metrics_period ON metrics.period_metrics (grain, period_start);

COMMENT ON TABLE metrics.period_metrics IS
    'One computed payload per account and period. Written by metrics_pipeline only.';
COMMENT ON COLUMN metrics.period_metrics.expense_count IS 'Undeleted expenses of any status.';
COMMENT ON COLUMN metrics.period_metrics.transaction_count IS 'Expenses whose status counts.';
COMMENT ON COLUMN metrics.period_metrics.version IS
    'Microseconds of the clock at the last change, always above the version before it.';
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(STORE + PERIOD_TOTALS)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP VIEW metrics.period_totals; DROP TABLE metrics.period_metrics;")
