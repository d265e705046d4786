"""Who runs the slow handler of a message, the reply that it was shown, and the processes with slow handlers.

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
NAME = sa.String(96).with_variant(
    mysql.VARCHAR(96, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.add_column("message_logs", sa.Column("owner", sa.String(96)))
    op.add_column("message_logs", sa.Column("runs", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("message_logs", sa.Column("reply_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.create_table(
        "handler_processes",
        sa.Column("name", NAME, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("running", sa.Integer(), nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        sa.Column("max_waiting", sa.Integer(), nullable=False),
        sa.Column("p95_ms", sa.Integer()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_handler_processes")),
        **MYSQL,
    )


def downgrade():
    op.drop_table("handler_processes")
    for name in ("reply_id", "runs", "owner"):
        op.drop_column("message_logs", name)
