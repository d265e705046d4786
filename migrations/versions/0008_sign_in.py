"""Failed sign-ins with their times, temporary passwords, and sealed secrets of the second factor.

Revision ID: 0008
Revises: 0007
"""

import pyotp
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from wechat_bot.wiring import services

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
VALUE = sa.String(64).with_variant(
    mysql.VARCHAR(64, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def upgrade():
    create_lockouts(
        sa.Column("failures", sa.JSON(), nullable=False),
        sa.Column("failed_at", TIME, nullable=False),
        sa.Column("blocked", sa.Integer(), nullable=False),
    )
    with op.batch_alter_table("operators") as operators:
        operators.add_column(
            sa.Column("password_temporary", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        operators.alter_column("totp_secret", type_=sa.String(255), existing_type=sa.String(64), existing_nullable=False)
    replace_secrets(services().sealer.seal)


def downgrade():
    # A secret that was sealed with another SECRET_KEY becomes one that nobody knows; its recovery codes remain.
    replace_secrets(lambda sealed: services().sealer.open(sealed) or pyotp.random_base32())
    with op.batch_alter_table("operators") as operators:
        operators.alter_column("totp_secret", type_=sa.String(64), existing_type=sa.String(255), existing_nullable=False)
        operators.drop_column("password_temporary")
    create_lockouts(
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failed_at", TIME, nullable=False),
        sa.Column("until", TIME, nullable=True),
    )


def create_lockouts(*columns):
    """Replace the table. What was counted is forgotten: nobody waits any more."""
    op.drop_table("lockouts")
    op.create_table(
        "lockouts",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("value", VALUE, nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lockouts")),
        sa.UniqueConstraint("kind", "value", name=op.f("uq_lockouts_kind_value")),
        **MYSQL,
    )


def replace_secrets(replacement):
    operators = sa.table("operators", sa.column("id"), sa.column("totp_secret"))
    rows = op.get_bind().execute(sa.select(operators).where(operators.c.totp_secret != "")).all()
    for row in rows:
        changed = operators.update().where(operators.c.id == row.id)
        op.execute(changed.values(totp_secret=replacement(row.totp_secret)))
