"""The knowledge base: question-answer pairs with all their versions, documents and their passages.

Revision ID: 0024
Revises: 0023
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}


def exact(length):
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(binary, "mysql", "mariadb")


def reference(table, column, target):
    return sa.ForeignKeyConstraint([column], [f"{target}.id"], name=op.f(f"fk_{table}_{column}_{target}"))


def index(table, *columns):
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def upgrade():
    op.create_table(
        "knowledge_pairs",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("searched", LONG_TEXT, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("deleted_at", TIME, nullable=True),
        reference("knowledge_pairs", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_pairs")),
        **MYSQL,
    )
    index("knowledge_pairs", "account_id", "deleted_at", "state", "id")
    op.create_table(
        "knowledge_pair_versions",
        sa.Column("pair_id", ROW_ID, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=True),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        reference("knowledge_pair_versions", "operator_id", "operators"),
        reference("knowledge_pair_versions", "pair_id", "knowledge_pairs"),
        sa.PrimaryKeyConstraint("pair_id", "version", name=op.f("pk_knowledge_pair_versions")),
        **MYSQL,
    )
    op.create_table(
        "knowledge_documents",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("link", sa.String(1024), nullable=False),
        sa.Column("origin", exact(255), nullable=False),
        sa.Column("content_hash", exact(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("imported_at", TIME, nullable=False),
        sa.Column("operator", sa.String(64), nullable=False),
        reference("knowledge_documents", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_documents")),
        **MYSQL,
    )
    index("knowledge_documents", "account_id", "content_hash")
    index("knowledge_documents", "account_id", "origin")
    op.create_table(
        "knowledge_passages",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("account_id", ROW_ID, nullable=False),
        sa.Column("document_id", ROW_ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(255), nullable=False),
        sa.Column("page", sa.Integer(), nullable=True),
        sa.Column("text", LONG_TEXT, nullable=False),
        reference("knowledge_passages", "account_id", "accounts"),
        reference("knowledge_passages", "document_id", "knowledge_documents"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_passages")),
        **MYSQL,
    )
    index("knowledge_passages", "account_id", "id")
    index("knowledge_passages", "document_id", "position")
    op.create_table(
        "knowledge_versions",
        sa.Column("account_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("version", sa.Integer(), nullable=False),
        reference("knowledge_versions", "account_id", "accounts"),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_knowledge_versions")),
        **MYSQL,
    )
    op.create_table(
        "knowledge_imports",
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
        reference("knowledge_imports", "account_id", "accounts"),
        reference("knowledge_imports", "operator_id", "operators"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_knowledge_imports")),
        **MYSQL,
    )
    index("knowledge_imports", "account_id")


def downgrade():
    for table in ("imports", "versions", "passages", "documents", "pair_versions", "pairs"):
        op.drop_table(f"knowledge_{table}")
