"""Channels of alerts, and what they were told.

Revision ID: 0027
Revises: 0026
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
OCCASION = sa.String(16).with_variant(
    mysql.VARCHAR(16, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    op.create_table(
        "alert_channels",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sealed_url", LONG_TEXT, nullable=False),
        sa.Column("sealed_secret", LONG_TEXT, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("digest_at", TIME, nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("last_at", TIME, nullable=True),
        sa.Column("last_failure", sa.String(16), nullable=True),
        sa.Column("last_code", sa.Integer(), nullable=False),
        sa.Column("last_detail", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_alert_channels_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_channels")),
        **MYSQL,
    )
    op.create_index(op.f("ix_alert_channels_account_id"), "alert_channels", ["account_id"])
    op.create_table(
        "alerts",
        sa.Column("channel_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("follower_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("occasion", OCCASION, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["alert_channels.id"], name=op.f("fk_alerts_channel_id_alert_channels")
        ),
        sa.ForeignKeyConstraint(
            ["follower_id"], ["followers.id"], name=op.f("fk_alerts_follower_id_followers")
        ),
        sa.PrimaryKeyConstraint("channel_id", "follower_id", "occasion", name=op.f("pk_alerts")),
        **MYSQL,
    )


def downgrade():
    op.drop_table("alerts")
    op.drop_table("alert_channels")
