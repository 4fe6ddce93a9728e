"""The log of changes that triggers on the expense tables write, and the count of those they could not write.

The triggers themselves are attached after the migrations, whichever of these ran: see `source.capture`.
"""

from alembic import op

from metrics_pipeline.source.capture import detach

revision = "0003"
down_revision = "0002"

CHANGE_LOG = """
-- A queue: without these settings its dead rows would slow each read until a fifth of it is dead.
CREATE TABLE metrics.expense_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    grain text CHECK (grain IN ('day', 'week', 'month', 'year')),
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    operation text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX expense_changes_account ON metrics.expense_changes (account_id);

COMMENT ON TABLE metrics.expense_changes IS
    'Committed changes that are not yet absorbed. Written by triggers on the expense tables only.';
COMMENT ON COLUMN metrics.expense_changes.account_id IS '0: every account.';
COMMENT ON COLUMN metrics.expense_changes.grain IS 'The only grain concerned (budgets); null: all of them.';
COMMENT ON COLUMN metrics.expense_changes.first_at IS
    'The earliest instant concerned. One row covers one UTC day of expenses, so any time zone can be applied later.';
COMMENT ON COLUMN metrics.expense_changes.last_at IS 'The latest instant concerned.';

CREATE SEQUENCE metrics.missed_changes;
COMMENT ON SEQUENCE metrics.missed_changes IS
    'Counted up whenever a change could not be logged, also if its transaction is rolled back later.';
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(CHANGE_LOG)


def downgrade() -> None:
    detach(op.get_bind())
    op.get_bind().exec_driver_sql("DROP TABLE metrics.expense_changes; DROP SEQUENCE metrics.missed_changes;")
