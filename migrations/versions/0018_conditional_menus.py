"""Conditional menus.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}
MENU = "fk_menu_versions_menu_id_conditional_menus"


def upgrade():
    op.create_table(
        "conditional_menus",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("menuid", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name=op.f("fk_conditional_menus_account_id_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conditional_menus")),
        **MYSQL,
    )
    op.create_index(
        op.f("ix_conditional_menus_account_id_position"), "conditional_menus", ["account_id", "position"]
    )
    with op.batch_alter_table("menu_versions") as versions:
        versions.add_column(sa.Column("menu_id", ROW_ID, nullable=True))
        versions.add_column(sa.Column("tag_id", sa.String(16), nullable=False, server_default=""))
        versions.add_column(sa.Column("client", sa.String(16), nullable=False, server_default=""))
        versions.create_foreign_key(op.f(MENU), "conditional_menus", ["menu_id"], ["id"])


def downgrade():
    op.execute("DELETE FROM menu_versions WHERE menu_id IS NOT NULL")
    with op.batch_alter_table("menu_versions") as versions:
        versions.drop_constraint(op.f(MENU), type_="foreignkey")
        versions.drop_column("client")
        versions.drop_column("tag_id")
        versions.drop_column("menu_id")
    op.drop_table("conditional_menus")
