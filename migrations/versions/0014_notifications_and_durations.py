"""Notifications of the desktop, the first steps that operators put away, and the durations of voices.

Revision ID: 0014
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table("operators") as operators:
        operators.add_column(sa.Column("notifications", sa.Boolean(), nullable=False, server_default=sa.false()))
        operators.add_column(sa.Column("notification_text", sa.Boolean(), nullable=False, server_default=sa.false()))
        operators.add_column(sa.Column("first_steps", sa.Boolean(), nullable=False, server_default=sa.true()))
    op.add_column("media", sa.Column("seconds", sa.Integer(), nullable=False, server_default="0"))


def downgrade():
    with op.batch_alter_table("media") as media:
        media.drop_column("seconds")
    with op.batch_alter_table("operators") as operators:
        operators.drop_column("first_steps")
        operators.drop_column("notification_text")
        operators.drop_column("notifications")
