"""Canned replies with any answer, and all their versions.

Revision ID: 0017
Revises: 0016
"""

import json
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(charset="utf8mb4"), "mysql", "mariadb")
MYSQL = {"mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_unicode_ci", "mysql_engine": "InnoDB"}

REPLIES = sa.table(
    "canned_replies",
    sa.column("id", ROW_ID),
    sa.column("operator_id", ROW_ID),
    sa.column("shortcut", sa.String()),
    sa.column("title", sa.String()),
    sa.column("text", sa.Text()),
    sa.column("answer", sa.JSON()),
)


def upgrade():
    with op.batch_alter_table("canned_replies") as table:
        table.add_column(sa.Column("answer", sa.JSON(), nullable=True))
        table.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
        table.add_column(sa.Column("deleted_at", TIME, nullable=True))
    connection = op.get_bind()
    for row in connection.execute(sa.select(REPLIES.c.id, REPLIES.c.text)).all():
        this = REPLIES.c.id == row.id
        connection.execute(REPLIES.update().where(this).values(answer=_answer(row.text)))
    with op.batch_alter_table("canned_replies") as table:
        table.alter_column("answer", existing_type=sa.JSON(), nullable=False)
        table.alter_column("version", existing_type=sa.Integer(), existing_nullable=False, server_default=None)
        table.drop_column("text")
    versions = op.create_table(
        "canned_reply_versions",
        sa.Column("reply_id", ROW_ID, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("operator_id", ROW_ID, nullable=True),
        sa.Column("operator", sa.String(64), nullable=False),
        sa.Column("change", sa.String(16), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["operator_id"], ["operators.id"], name=op.f("fk_canned_reply_versions_operator_id_operators")
        ),
        sa.ForeignKeyConstraint(
            ["reply_id"], ["canned_replies.id"], name=op.f("fk_canned_reply_versions_reply_id_canned_replies")
        ),
        sa.PrimaryKeyConstraint("reply_id", "version", name=op.f("pk_canned_reply_versions")),
        **MYSQL,
    )
    columns = REPLIES.c.id, REPLIES.c.operator_id, REPLIES.c.shortcut, REPLIES.c.title, REPLIES.c.answer
    first = {"version": 1, "at": datetime.now(UTC), "operator": "", "change": "created"}
    for row in connection.execute(sa.select(*columns)).all():
        definition = {"shortcut": row.shortcut, "title": row.title, "answer": row.answer}
        if row.operator_id is not None:
            definition["own"] = True
        connection.execute(versions.insert().values(**first, reply_id=row.id, definition=definition))


def _answer(text):
    """Return the answer that `downgrade` wrote as JSON, or the text as an answer."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) and "kind" in answer else {"kind": "text", "text": text}


def downgrade():
    """Answers that are no texts become their JSON, so that `upgrade` brings them back."""
    op.drop_table("canned_reply_versions")
    with op.batch_alter_table("canned_replies") as table:
        table.add_column(sa.Column("text", LONG_TEXT, nullable=True))
    connection = op.get_bind()
    connection.execute(REPLIES.delete().where(sa.column("deleted_at", TIME).is_not(None)))
    for row in connection.execute(sa.select(REPLIES.c.id, REPLIES.c.answer)).all():
        is_text = row.answer["kind"] == "text"
        text = row.answer["text"] if is_text else json.dumps(row.answer, ensure_ascii=False)
        connection.execute(REPLIES.update().where(REPLIES.c.id == row.id).values(text=text))
    with op.batch_alter_table("canned_replies") as table:
        table.alter_column("text", existing_type=LONG_TEXT, nullable=False)
        table.drop_column("deleted_at")
        table.drop_column("version")
        table.drop_column("answer")
