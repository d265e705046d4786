"""The library: files with which the account answers, and the platform's copies of them.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def upgrade():
    op.create_table(
        "library_files",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("digest", exact(64), nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("thumbnail", exact(64), nullable=False),
        sa.Column("playable", exact(64), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("created_by", ROW_ID, nullable=True),
        sa.Column("deleted_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_library_files_account_id_accounts")),
        sa.ForeignKeyConstraint(["created_by"], ["operators.id"], name=op.f("fk_library_files_created_by_operators")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_files")),
        sa.UniqueConstraint("account_id", "digest", name=op.f("uq_library_files_account_id_digest")),
        **MYSQL,
    )
    op.create_table(
        "library_media_ids",
        sa.Column("file_id", ROW_ID, nullable=False),
        sa.Column("permanent", sa.Boolean(), nullable=False),
        sa.Column("media_id", exact(128), nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.Column("tried_at", TIME, nullable=False),
        sa.Column("error", sa.String(255), nullable=False),
        sa.ForeignKeyConstraint(["file_id"], ["library_files.id"], name=op.f("fk_library_media_ids_file_id_library_files")),
        sa.PrimaryKeyConstraint("file_id", "permanent", name=op.f("pk_library_media_ids")),
        **MYSQL,
    )


def downgrade():
    op.drop_table("library_media_ids")
    op.drop_table("library_files")
