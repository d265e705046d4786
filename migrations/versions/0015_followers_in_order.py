"""Indexes for the orders of the list of followers.

Revision ID: 0015
Revises: 0014
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

INDEXES = (
    ("followers", ("account_id", "last_seen_at", "id")),
    ("followers", ("account_id", "subscribed", "status_at", "id")),
    ("followers", ("account_id", "alias", "id")),
    ("conversations", ("messages_in", "follower_id")),
)


def upgrade():
    for table, columns in INDEXES:
        op.create_index(name(table, columns), table, columns)


def downgrade():
    for table, columns in reversed(INDEXES):
        op.drop_index(name(table, columns), table)


def name(table, columns):
    return op.f(f"ix_{table}_{'_'.join(columns)}")
