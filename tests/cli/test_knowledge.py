"""``flask wechat knowledge``."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from sqlalchemy import Engine, select

from wechat_bot.models import KnowledgeDocument, KnowledgePair


def test_pairs_and_documents_are_imported_and_pairs_exported(
    app: Flask, engine: Engine, tmp_path: Path
) -> None:
    table, manual, exported = (tmp_path / name for name in ("a.csv", "说明.md", "b.csv"))
    table.write_text("question,wordings,answer,state\n怎么退货？,能退吗,七天内。,\n")
    manual.write_text("# 除垢\n\n每三个月一次。")
    run = app.test_cli_runner().invoke
    result = run(args=["wechat", "knowledge", "import", str(table), str(manual)])
    assert result.exit_code == 0, result.output
    run(args=["wechat", "knowledge", "import", str(table), str(manual)])
    with engine.connect() as connection:
        assert len(connection.scalars(select(KnowledgePair.id)).all()) == 1
        assert connection.scalars(select(KnowledgeDocument.title)).all() == ["说明"]
    assert run(args=["wechat", "knowledge", "export", str(exported)]).exit_code == 0
    assert "怎么退货？,能退吗,七天内。,approved" in exported.read_text("utf-8-sig")


def test_a_file_that_is_refused_is_told_with_its_line(app: Flask, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("question,wordings,answer,state\n怎么退货？,,,\n")
    result = app.test_cli_runner().invoke(args=["wechat", "knowledge", "import", str(table)])
    assert result.exit_code == 1
    assert "a.csv: line 2: answer is blank" in result.output
