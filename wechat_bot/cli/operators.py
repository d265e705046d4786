"""``flask operator …``: manage the operators of the console, also when nobody can sign in."""

from __future__ import annotations

import json
import sys

import click
from sqlalchemy import select

from ..extensions import db
from ..models import Operator, Role
from ..services.operators import management, two_factor
from ..services.operators.passwords import generate
from ..terminal import gettext as _
from .common import ACTOR, Commands

operator = Commands("operator", help="Who may sign in to the console.")

role_option = click.option(
    "--role", type=click.Choice([role.value for role in Role]), default=Role.OPERATOR.value, show_default=True
)
password_option = click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the password from the standard input; else one is made and shown.",
)


@operator.command()
@click.argument("name")
@role_option
@password_option
def create(name: str, role: str, password_stdin: bool) -> None:
    """Let NAME sign in, with a password that has to be changed at the first sign-in."""
    password = _password(password_stdin)
    management.create(db.engine, ACTOR, name, Role(role), password)
    click.echo(_("%(name)s 可以以 %(role)s 的角色登录了。", name=name, role=role))
    _show(password, password_stdin)


@operator.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_(as_json: bool) -> None:
    """Everybody, and when they signed in last."""
    with db.engine.connect() as connection:
        rows = connection.execute(select(Operator.__table__).order_by(Operator.name)).all()
    found = [
        {
            "name": row.name,
            "role": row.role,
            "disabled": row.disabled,
            "second_factor": bool(row.totp_secret),
            "last_sign_in_at": row.last_sign_in_at and row.last_sign_in_at.isoformat(timespec="seconds"),
        }
        for row in rows
    ]
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for one in found:
        state = _("停用了") if one["disabled"] else one["last_sign_in_at"] or _("从未登录")
        factor = _("，有两步验证") if one["second_factor"] else ""
        click.echo(f"{one['name']}  {one['role']}  {state}{factor}")


@operator.command()
@click.argument("name")
def disable(name: str) -> None:
    """Sign NAME out at once, and let NAME sign in no more."""
    management.disable(db.engine, ACTOR, _id(name))
    click.echo(_("%(name)s 已停用。", name=name))


@operator.command()
@click.argument("name")
def enable(name: str) -> None:
    """Let NAME sign in again."""
    management.enable(db.engine, ACTOR, _id(name))
    click.echo(_("%(name)s 又可以登录了。", name=name))


@operator.command("reset-password")
@click.argument("name")
@password_option
def reset_password(name: str, password_stdin: bool) -> None:
    """Give NAME a password to be changed at the next sign-in, and end the wait after failed ones."""
    password = _password(password_stdin)
    management.reset_password(db.engine, ACTOR, _id(name), password)
    click.echo(_("%(name)s 有了新密码，已在各处退出登录。", name=name))
    _show(password, password_stdin)


@operator.command("set-role")
@click.argument("name")
@click.argument("role", type=click.Choice([role.value for role in Role]))
def set_role(name: str, role: str) -> None:
    """Change what NAME may do."""
    management.set_role(db.engine, ACTOR, _id(name), Role(role))
    click.echo(_("%(name)s 现在是 %(role)s。", name=name, role=role))


@operator.command("reset-second-factor")
@click.argument("name")
def reset_second_factor(name: str) -> None:
    """Ask NAME for no code any more."""
    two_factor.turn_off(db.engine, ACTOR, _id(name))
    click.echo(_("%(name)s 以后只用密码登录。", name=name))


def _id(name: str) -> int:
    with db.engine.connect() as connection:
        found = connection.scalar(select(Operator.id).where(Operator.name == name))
    if found is None:
        raise click.ClickException(_("没有操作员 %(name)r：见 flask operator list。", name=name))
    return found


def _password(from_stdin: bool) -> str:
    return sys.stdin.readline().rstrip("\r\n") if from_stdin else generate()


def _show(password: str, from_stdin: bool) -> None:
    if not from_stdin:
        click.echo(_("密码，只显示这一次：%(password)s", password=password))
