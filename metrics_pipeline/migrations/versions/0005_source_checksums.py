"""From which expenses a payload was computed, and whether its row is as it was written."""

from alembic import op

revision = "0005"
down_revision = "0004"

COLUMNS = """
ALTER TABLE metrics.period_metrics ADD COLUMN source_checksum bigint, ADD COLUMN seal bigint;
COMMENT ON COLUMN metrics.period_metrics.source_checksum IS
    'Sum over the expenses that the payload was computed from; null: written before there was one.';
COMMENT ON COLUMN metrics.period_metrics.seal IS
    'Hash of what was written: differs once somebody edits the row by hand.';
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(COLUMNS)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("ALTER TABLE metrics.period_metrics DROP COLUMN source_checksum, DROP COLUMN seal;")
