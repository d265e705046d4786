"""``flask wechat evaluate``: ask the assistant all questions of the evaluation, as for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from ..extensions import db
from ..models import EvaluationState
from ..routing.strict_json import InvalidDefinition
from ..services.evaluations import reading
from ..services.evaluations.reading import Result
from ..services.evaluations.running import Unavailable
from ..terminal import gettext as _
from ..wiring import services
from .common import ACTOR, inert, wechat


@wechat.command("evaluate")
@click.option(
    "--draft",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML or JSON file with fields of the assistant's profile that are not saved yet.",
)
@click.option("--only-worse", is_flag=True, help="Fail only if an answer got worse since the last run.")
def evaluate(draft: Path | None, only_worse: bool) -> None:
    """Ask all questions of the evaluation, with the saved profile or a draft.

    Fails unless every answer is as expected.
    """
    run, results = _run(_fields(draft) if draft else {})
    for result in results:
        _show(result)
    worse = sum(result.change == "worse" for result in results)
    better = sum(result.change == "better" for result in results)
    click.echo(_("%(passed)s / %(total)s 个通过", passed=run.passed, total=run.total))
    click.echo(_("变差 %(worse)s 个，变好 %(better)s 个", worse=worse, better=better))
    if run.state != EvaluationState.DONE:
        raise click.ClickException(_("没有问完：%(reason)s", reason=inert(run.error)))
    if worse if only_worse else run.passed < run.total:
        raise click.ClickException(_("有回答不是预期的。"))


def _fields(path: Path) -> dict[str, Any]:
    """Return the fields of a draft in a file."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise click.ClickException(_("草稿不是 YAML 或 JSON：%(reason)s", reason=inert(error))) from error
    if not isinstance(found, dict):
        raise click.ClickException(_("草稿要是助手的字段，例如 instructions: …"))
    return found


def _run(draft: dict[str, Any]) -> tuple[Any, list[Result]]:
    """Run the evaluation in this process, and return the run and its results."""
    evaluations, account_id = services().evaluations, services().account_id
    try:
        run_id = evaluations.begin(ACTOR, account_id, draft)
    except (InvalidDefinition, Unavailable) as error:
        raise click.ClickException(inert(error)) from error
    evaluations.run(run_id)
    with db.engine.connect() as connection:
        before = reading.run_before(connection, account_id, run_id)
        results = reading.results(connection, run_id, before.id if before else None)
        return reading.find_run(connection, account_id, run_id), results


def _show(result: Result) -> None:
    mark, colour = ("✓", "green") if result.passed else ("✗", "red")
    click.secho(f"{mark} {inert(result.case.question)}", fg=colour)
    for kind, detail in result.now.failures:
        click.echo(f"    {kind}: {inert(detail)}")
    if not result.passed and result.now.answer:
        click.echo(f"    {inert(result.now.answer)}")
