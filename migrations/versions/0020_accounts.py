"""The account of each conversation, indexes that begin with it, and one for the scenes of followers.

Revision ID: 0020
Revises: 0019
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

INDEXES = (
    ("last_id",),
    ("status", "last_id"),
    ("status", "waiting_since", "follower_id"),
    ("status", "last_in_id"),
    ("starred", "last_id"),
    ("messages_in", "follower_id"),
)
ASSIGNED = ("assignee_id", "status", "waiting_since", "follower_id")
OWN = ("assignee_id", "last_id")
OWN_NOW = ("assignee_id", "account_id", "last_id")  # begins with the foreign key, for which MariaDB needs it
HAS_SCENE = sa.text("scene != ''")
ACCOUNT_KEY = "fk_conversations_account_id_accounts"


def upgrade():
    op.add_column("conversations", sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite")))
    op.execute(
        "UPDATE conversations SET account_id ="
        " (SELECT account_id FROM followers WHERE followers.id = conversations.follower_id)"
    )
    with op.batch_alter_table("conversations") as conversations:
        conversations.alter_column("account_id", existing_type=sa.BigInteger(), nullable=False)
        conversations.create_foreign_key(ACCOUNT_KEY, "accounts", ["account_id"], ["id"])
    for columns in INDEXES:
        op.drop_index(name(columns), "conversations")
        op.create_index(name(("account_id", *columns)), "conversations", ["account_id", *columns])
    op.create_index(name(OWN_NOW), "conversations", OWN_NOW)
    op.drop_index(name(OWN), "conversations")
    op.drop_index(name(ASSIGNED), "conversations")
    op.create_index("ix_conversations_assigned", "conversations", ["account_id", *ASSIGNED])
    op.create_index(
        "ix_followers_scene",
        "followers",
        ["account_id", "scene", "last_seen_at", "id"],
        sqlite_where=HAS_SCENE,
        postgresql_where=HAS_SCENE,
    )


def downgrade():
    op.drop_index("ix_followers_scene", "followers")
    with op.batch_alter_table("conversations") as conversations:
        conversations.drop_constraint(ACCOUNT_KEY, type_="foreignkey")
    op.drop_index("ix_conversations_assigned", "conversations")
    op.create_index(name(ASSIGNED), "conversations", ASSIGNED)
    op.create_index(name(OWN), "conversations", OWN)
    op.drop_index(name(OWN_NOW), "conversations")
    for columns in reversed(INDEXES):
        op.drop_index(name(("account_id", *columns)), "conversations")
        op.create_index(name(columns), "conversations", columns)
    with op.batch_alter_table("conversations") as conversations:
        conversations.drop_column("account_id")


def name(columns):
    return op.f(f"ix_conversations_{'_'.join(columns)}")
