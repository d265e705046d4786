"""Conversations whose window closes soonest.

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAME = "ix_threads_status_last_in_id"


def upgrade():
    op.create_index(NAME, "threads", ["status", "last_in_id"])


def downgrade():
    op.drop_index(NAME, "threads")
