"""Followers are found by their pseudonyms: all of them are indexed again.

Revision ID: 0009
Revises: 0008
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade():
    index_followers_again()


def downgrade():
    index_followers_again()


def index_followers_again():
    """Set back how far the index has come, so that the workers index every follower in small steps."""
    op.execute("UPDATE progress SET watermark = 0, gaps = '[]' WHERE name = 'followers'")
