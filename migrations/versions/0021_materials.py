"""The platform's permanent material that was imported into the library, and the runs that did so.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def reference(table, column, target):
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"))


def upgrade():
    op.create_table(
        "materials",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("media_id", exact(128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("url", sa.String(1024), nullable=False),
        sa.Column("file_id", ROW_ID, nullable=True),
        sa.Column("reason", sa.String(255), nullable=False),
        reference("materials", "account_id", "accounts"),
        reference("materials", "file_id", "library_files"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_materials")),
        sa.UniqueConstraint(
            "account_id", "media_id", "number", name=op.f("uq_materials_account_id_media_id_number")
        ),
        **MYSQL,
    )
    op.create_table(
        "material_imports",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=True),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("added", sa.Integer(), nullable=False),
        sa.Column("errcode", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(255), nullable=False),
        reference("material_imports", "account_id", "accounts"),
        reference("material_imports", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_material_imports")),
        **MYSQL,
    )
    op.create_index(op.f("ix_material_imports_account_id"), "material_imports", ["account_id"])


def downgrade():
    op.drop_table("material_imports")
    op.drop_table("materials")
