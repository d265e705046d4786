"""Conversations whose window closes soonest; a sound when something arrives.

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

INDEX = "ix_threads_status_last_in_id"


def upgrade():
    op.create_index(INDEX, "threads", ["status", "last_in_id"])
    op.add_column("operators", sa.Column("sound", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade():
    with op.batch_alter_table("operators") as operators:
        operators.drop_column("sound")
    op.drop_index(INDEX, "threads")
