"""What waits for a refresh, what must leave the cache, and what the last look at both found."""

from alembic import op

revision = "0004"
down_revision = "0003"

# The queues are emptied as fast as they fill: without these settings their dead rows would slow each read.
QUEUE = "WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)"

TABLES = f"""
CREATE SEQUENCE metrics.marks;

CREATE TABLE metrics.stale_periods (
    account_id bigint NOT NULL,
    grain text NOT NULL CHECK (grain IN ('day', 'week', 'month', 'year')),
    period_start date NOT NULL,
    mark bigint NOT NULL,
    first_changed_at timestamptz NOT NULL,
    last_changed_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, grain, period_start)
) {QUEUE};
CREATE INDEX stale_periods_period ON metrics.stale_periods (grain, period_start, account_id);

COMMENT ON TABLE metrics.stale_periods IS 'Periods whose stored payload is older than their expenses.';
COMMENT ON COLUMN metrics.stale_periods.account_id IS '0: every account.';
COMMENT ON COLUMN metrics.stale_periods.mark IS
    'Renewed by every marking: a refresh removes only the mark that its snapshot showed.';

CREATE TABLE metrics.cache_drops (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL,
    grain text NOT NULL,
    period_start date NOT NULL
) {QUEUE};
COMMENT ON TABLE metrics.cache_drops IS
    'Cache entries to delete; rows stay until that was done. Account 0: of all accounts.';

CREATE TABLE metrics.tick_state (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    beats bigint NOT NULL DEFAULT 0,
    missed_seen bigint NOT NULL DEFAULT 0,
    misses_settled boolean NOT NULL DEFAULT true
) WITH (fillfactor = 10);
INSERT INTO metrics.tick_state DEFAULT VALUES;
COMMENT ON TABLE metrics.tick_state IS 'What the last look at the log of changes and at Redis found. One row.';
COMMENT ON COLUMN metrics.tick_state.beats IS
    'Counted up together with a key in Redis: when the two differ, one of the servers went back in time.';
COMMENT ON COLUMN metrics.tick_state.missed_seen IS
    'The value of missed_changes for which everything was marked stale. Not settled: a change that could not be '
    'logged had not committed yet, so that everything must be marked once more.';
"""

INDEX = """
DROP INDEX metrics.period_metrics_period;
CREATE INDEX period_metrics_period ON metrics.period_metrics ({columns});
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLES + INDEX.format(columns="grain, period_start, account_id"))


def downgrade() -> None:
    op.get_bind().exec_driver_sql(
        "DROP TABLE metrics.stale_periods, metrics.cache_drops, metrics.tick_state; DROP SEQUENCE metrics.marks;"
        + INDEX.format(columns="grain, period_start")
    )
