"""``flask wechat scenarios``: run the conversation tests of the console, and show results of scenarios."""

from __future__ import annotations

from collections.abc import Iterable

import click
from flask_babel import force_locale

from ..services.scenarios.playing import OBSTACLES
from ..simulator.scenarios import StepResult, describe_action, describe_expectation
from ..terminal import gettext as _
from ..terminal import terminal_language
from ..wiring import services
from .common import ACTOR, inert, wechat


@wechat.command("scenarios")
def run_stored() -> None:
    """Run the conversation tests of the console against its rules, without a running bot.

    Fails unless every answer is the expected one.
    """
    played = services().scenarios.run(ACTOR, services().account_id)
    fail_if(sum(report(each.entry.scenario.name, each.steps) for each in played))


def report(title: str, results: Iterable[StepResult]) -> int:
    """Show the results of a scenario, and return the number of steps that did not pass."""
    click.echo(inert(title))
    return sum(not _show(result) for result in results)


def _show(result: StepResult) -> bool:
    """Show the result of a step, and return whether it passed."""
    mark, colour = ("?", "yellow") if result.obstacle else ("✓", "green") if result.passed else ("✗", "red")
    click.secho(f"  {mark} {inert(describe_action(result.step))}", fg=colour)
    if result.obstacle:
        with force_locale(terminal_language()):
            click.echo(f"    {OBSTACLES[result.obstacle]}")
    elif result.failed:
        expected = inert(describe_expectation(result.step))
        given = {"outcome": result.outcome, "text": result.text}
        click.echo("    " + _("预期 %(expected)s，收到 %(outcome)s：%(text)r", expected=expected, **given))
    return result.passed


def fail_if(count: int) -> None:
    """End with exit code 1 if there are steps that did not pass."""
    if count:
        raise click.ClickException(_("有 %(count)s 个回复和预期不同。", count=count))
