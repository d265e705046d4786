"""When the platform refused an account, when its quotas were cleared, and for which kind a permission is known.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def upgrade():
    op.add_column("accounts", sa.Column("refused_at", TIME))
    op.add_column("accounts", sa.Column("quota_cleared_at", TIME))
    op.add_column("accounts", sa.Column("quota_clears", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("capabilities", sa.Column("kind", sa.String(32)))


def downgrade():
    op.drop_column("capabilities", "kind")
    for name in ("quota_clears", "quota_cleared_at", "refused_at"):
        op.drop_column("accounts", name)
