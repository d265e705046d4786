"""Followers who have never spoken.

Revision ID: 0030
Revises: 0029
"""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade():
    op.add_column(
        "followers", sa.Column("has_spoken", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute(
        "UPDATE followers SET has_spoken = true"
        " WHERE id IN (SELECT follower_id FROM conversations WHERE messages_in > 0)"
    )
    op.create_index(
        "ix_followers_silent",
        "followers",
        ["account_id", "has_spoken", "last_seen_at", "id"],
        sqlite_where=sa.text("has_spoken = 0"),
        postgresql_where=sa.text("NOT has_spoken"),
    )


def downgrade():
    op.drop_index("ix_followers_silent", "followers")
    op.drop_column("followers", "has_spoken")
