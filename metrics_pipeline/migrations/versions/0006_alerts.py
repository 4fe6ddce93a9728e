"""What the receivers of alerts were told last."""

from alembic import op

revision = "0006"
down_revision = "0005"

TABLE = """
CREATE TABLE metrics.alerts (
    kind text PRIMARY KEY CHECK (kind IN ('health', 'failures', 'heartbeat')),
    known jsonb NOT NULL DEFAULT '{}',
    told_at timestamptz,
    failing_since timestamptz,
    error text
);
INSERT INTO metrics.alerts (kind) VALUES ('health'), ('failures'), ('heartbeat');
COMMENT ON TABLE metrics.alerts IS 'What the webhook and the dead man''s switch were told last. One row a kind.';
COMMENT ON COLUMN metrics.alerts.known IS 'What the receiver knows: changed once it was told, and not before.';
COMMENT ON COLUMN metrics.alerts.failing_since IS 'Since when something could not be delivered; null: nothing is owed.';
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(TABLE)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE metrics.alerts")
