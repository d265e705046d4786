"""Tests of operators, their sign-in, and the throttling of sign-ins."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType
from typing import Any

import pyotp
import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, select, update

from tests.conftest import MakeApp
from wechat_bot.extensions import db
from wechat_bot.models import AuditEntry, Lockout, Operator, OperatorSession, Role
from wechat_bot.services.audit import Actor
from wechat_bot.services.operators import management, passwords, throttle, two_factor
from wechat_bot.services.operators.management import OperatorError, Problem
from wechat_bot.services.operators.sealing import Sealer
from wechat_bot.services.operators.sign_in import (
    IDLE_TIMEOUT,
    MAX_DURATION,
    ClientInfo,
    CodeNeeded,
    SignedIn,
    SignInRefused,
    authenticate,
    end_all_sessions,
    end_session,
    enter_code,
    sign_in,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PASSWORD = "correct horse battery"
ACTOR = Actor(None, "tests", "")
HOME, ELSEWHERE = ClientInfo("198.51.100.7", "Firefox"), ClientInfo("203.0.113.9")
THREADS = 8
SEALER = Sealer("a key for tests only")

Attempt = Callable[[], Any]


@pytest.fixture
def li(engine: Engine) -> int:
    return management.create(engine, ACTOR, "li", Role.ADMIN, PASSWORD)


@pytest.fixture
def shared(make_app: MakeApp, any_database: str) -> Engine:
    """A database that is used by several threads."""
    app = make_app(database_url=any_database, database_connections=THREADS)
    with app.app_context():
        return db.engine


def signed_in(engine: Engine, now: datetime = NOON, **options: Any) -> SignedIn:
    result = sign_in(engine, "li", PASSWORD, HOME, now, **options)
    assert isinstance(result, SignedIn)
    return result


def refused(engine: Engine, name: str, password: str, client: ClientInfo, now: datetime) -> timedelta | None:
    """Return how long no further attempt is accepted; None if the attempt was made."""
    with pytest.raises(SignInRefused) as caught:
        sign_in(engine, name, password, client, now)
    return caught.value.wait


def problem(attempt: Attempt) -> Problem:
    with pytest.raises(OperatorError) as caught:
        attempt()
    return caught.value.problem


def actions(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return list(connection.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def operator_of(engine: Engine, operator_id: int) -> Any:
    with engine.connect() as connection:
        return connection.execute(select(Operator.__table__).where(Operator.id == operator_id)).one()


def at_once(attempts: Sequence[Attempt]) -> list[Any]:
    """Make attempts concurrently. Return their results or errors."""

    def outcome(attempt: Attempt) -> Any:
        try:
            return attempt()
        except (SignInRefused, OperatorError) as error:
            return error

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(outcome, attempts))


def test_a_session_is_recognised_until_nobody_has_come_back_for_twelve_hours(engine: Engine, li: int) -> None:
    token = signed_in(engine).token
    for hours in (0, 11, 22):
        found = authenticate(engine, token, NOON + timedelta(hours=hours))
        assert found
        assert (found.operator.id, found.operator.name) == (li, "li")
    assert authenticate(engine, token, NOON + timedelta(hours=22) + IDLE_TIMEOUT) is None
    assert authenticate(engine, "another token", NOON) is None


def test_a_session_that_shall_be_kept_lasts_fourteen_days(engine: Engine, li: int) -> None:
    token = signed_in(engine, persistent=True).token
    assert authenticate(engine, token, NOON + MAX_DURATION - MINUTE)
    assert authenticate(engine, token, NOON + MAX_DURATION) is None


def test_a_session_ends_after_fourteen_days_however_much_it_is_used(engine: Engine, li: int) -> None:
    token = signed_in(engine).token
    for hours in range(0, 14 * 24, 11):
        assert authenticate(engine, token, NOON + timedelta(hours=hours)), hours
    assert authenticate(engine, token, NOON + MAX_DURATION) is None


def test_a_token_is_kept_as_a_digest_only(engine: Engine, li: int) -> None:
    token = signed_in(engine).token
    with engine.connect() as connection:
        [row] = connection.execute(select(OperatorSession.__table__)).all()
    assert token not in map(str, row)
    assert (row.address, row.browser) == ("198.51.100.7", "Firefox")


def test_the_sign_in_before_is_told(engine: Engine, li: int) -> None:
    assert signed_in(engine).last_at is None
    again = signed_in(engine, NOON + MINUTE)
    assert (again.last_at, again.last_address) == (NOON, "198.51.100.7")


def test_a_name_waits_ever_longer_after_five_failures(engine: Engine, li: int) -> None:
    for _ in range(5):
        assert refused(engine, "li", "wrong", HOME, NOON) is None
    assert refused(engine, "li", PASSWORD, ELSEWHERE, NOON) == MINUTE
    later, waits = NOON + MINUTE, []
    for _ in range(8):
        assert refused(engine, "li", "wrong", HOME, later) is None
        wait = refused(engine, "li", PASSWORD, HOME, later)
        assert wait
        waits.append(wait // MINUTE)
        later += wait
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert actions(engine).count("locked_out") == 9
    assert actions(engine).count("sign_in_failed") == 13, "attempts that are not made are no failures"
    assert actions(engine).count("sign_in_blocked") == 9, "but the log tells that there were some"
    assert signed_in(engine, later).token
    assert refused(engine, "li", "wrong", HOME, later) is None
    assert signed_in(engine, later).token, "a success resets the failures"


def test_a_flood_of_attempts_during_a_wait_is_no_flood_of_entries_in_the_log(engine: Engine, li: int) -> None:
    for _ in range(5 + 100):
        refused(engine, "li", "wrong", HOME, NOON)
    with engine.connect() as connection:
        found = select(AuditEntry.detail, AuditEntry.subject).where(AuditEntry.action == "sign_in_blocked")
        entries = connection.execute(found.order_by(AuditEntry.id)).all()
    assert [entry.detail for entry in entries] == ["1", "2", "4", "8", "16", "32", "64"]
    assert {entry.subject for entry in entries} == {f"operator:{li}"}


def test_the_longer_wait_is_told_when_name_and_address_wait(engine: Engine, li: int) -> None:
    for number in range(20):
        refused(engine, f"name{number}", "wrong", HOME, NOON)
    assert refused(engine, "name", "wrong", HOME, NOON + MINUTE) is None, "the address waits two minutes now"
    for _ in range(5):
        refused(engine, "li", "wrong", ELSEWHERE, NOON + MINUTE)
    assert refused(engine, "li", PASSWORD, ELSEWHERE, NOON + MINUTE) == MINUTE
    assert refused(engine, "li", PASSWORD, HOME, NOON + MINUTE) == 2 * MINUTE
    for _ in range(2):
        later = NOON + 2 * MINUTE
        refused(engine, "li", "wrong", ELSEWHERE, later)
    assert refused(engine, "li", PASSWORD, HOME, later) == 2 * MINUTE, "now the name waits longer"


def test_a_success_does_not_make_the_office_wait_again(engine: Engine, li: int) -> None:
    management.create(engine, ACTOR, "wang", Role.VIEWER, PASSWORD)
    for number in range(20):
        refused(engine, f"name{number}", "wrong", HOME, NOON)
    assert signed_in(engine, NOON + MINUTE)
    assert isinstance(sign_in(engine, "wang", PASSWORD, HOME, NOON + MINUTE), SignedIn)


def test_five_failures_of_strangers_lock_no_browser_that_was_used_before(engine: Engine, li: int) -> None:
    known = replace(HOME, device=throttle.new_device(li))
    of_another = replace(HOME, device=throttle.new_device(li + 1))
    for number in range(20):
        refused(engine, "li" if number < 5 else f"name{number}", "wrong", HOME, NOON)
    assert refused(engine, "li", PASSWORD, of_another, NOON) == MINUTE
    assert isinstance(sign_in(engine, "li", PASSWORD, known, NOON), SignedIn)
    assert refused(engine, "li", PASSWORD, ELSEWHERE, NOON) == MINUTE, "strangers go on waiting"


def test_a_browser_that_was_used_before_has_five_tries_of_its_own(engine: Engine, li: int) -> None:
    known = replace(HOME, device=throttle.new_device(li))
    for _ in range(5):
        assert refused(engine, "li", "wrong", known, NOON) is None
    assert refused(engine, "li", PASSWORD, known, NOON) == MINUTE
    assert signed_in(engine)
    management.reset_password(engine, ACTOR, li, PASSWORD)
    assert isinstance(sign_in(engine, "li", PASSWORD, known, NOON), SignedIn), "a new password ends the wait"


def test_a_day_without_failure_makes_them_forgotten(engine: Engine, li: int) -> None:
    for _ in range(4):
        refused(engine, "li", "wrong", HOME, NOON)
    tomorrow = NOON + timedelta(hours=24)
    refused(engine, "li", "wrong", HOME, tomorrow)
    assert signed_in(engine, tomorrow).token


def test_names_that_nobody_has_are_locked_alike(engine: Engine) -> None:
    for _ in range(5):
        assert refused(engine, "nobody", "wrong", HOME, NOON) is None
    assert refused(engine, "nobody", "wrong", HOME, NOON) == MINUTE


def test_an_address_waits_after_twenty_failures_under_any_names(engine: Engine, li: int) -> None:
    for number in range(20):
        assert refused(engine, f"name{number}", "wrong", HOME, NOON) is None
    assert refused(engine, "li", PASSWORD, HOME, NOON) == MINUTE
    assert isinstance(sign_in(engine, "li", PASSWORD, ELSEWHERE, NOON), SignedIn)


def test_all_addresses_that_one_network_of_ipv6_has_count_as_one(engine: Engine) -> None:
    for number in range(20):
        refused(engine, f"name{number}", "wrong", ClientInfo(f"2001:db8::{number:x}"), NOON)
    assert refused(engine, "li", "wrong", ClientInfo("2001:db8::ffff:1"), NOON) == MINUTE
    assert refused(engine, "li", "wrong", ClientInfo("2001:db8:0:1::1"), NOON) is None


def test_addresses_of_ipv4_that_are_written_as_ipv6_count_by_themselves(engine: Engine) -> None:
    for number in range(20):
        refused(engine, f"name{number}", "wrong", ClientInfo("::ffff:198.51.100.7"), NOON)
    assert refused(engine, "li", "wrong", ClientInfo("::ffff:198.51.100.7"), NOON) == MINUTE
    assert refused(engine, "li", "wrong", ClientInfo("::ffff:203.0.113.9"), NOON) is None


def test_mistyping_operators_do_not_lock_their_office(engine: Engine, li: int) -> None:
    for _ in range(8):
        for _ in range(4):
            refused(engine, "li", "wrong", HOME, NOON)
        assert signed_in(engine)
    with engine.connect() as connection:
        assert connection.execute(select(Lockout.__table__)).all() == []


@pytest.mark.parametrize("name", ["", "\x00", "x" * 300, "\ud800", "' OR 1=1 --", "LI", "李"])
def test_strange_names_are_refused_as_others_are(engine: Engine, li: int, name: str) -> None:
    assert refused(engine, name, PASSWORD, HOME, NOON) is None


def test_parallel_guesses_get_five_tries_and_no_more(shared: Engine) -> None:
    management.create(shared, ACTOR, "li", Role.ADMIN, PASSWORD)
    outcomes = at_once([lambda: sign_in(shared, "li", "wrong", HOME, NOON)] * 24)
    assert all(isinstance(outcome, SignInRefused) for outcome in outcomes)
    assert sum(outcome.wait is None for outcome in outcomes) == 5
    assert actions(shared).count("sign_in_failed") == 5
    assert actions(shared).count("locked_out") == 1


def test_many_operators_sign_in_at_once(shared: Engine) -> None:
    for number in range(THREADS):
        management.create(shared, ACTOR, f"operator{number}", Role.VIEWER, PASSWORD)
    names = [f"operator{number}" for number in range(THREADS)] * 2
    outcomes = at_once([lambda name=name: sign_in(shared, name, PASSWORD, HOME, NOON) for name in names])  # type: ignore[misc]
    assert all(isinstance(outcome, SignedIn) for outcome in outcomes), outcomes
    with shared.connect() as connection:
        assert len(connection.execute(select(OperatorSession.id)).all()) == 2 * THREADS
        assert connection.execute(select(Lockout.__table__)).all() == []


def test_one_code_is_good_for_one_of_many_browsers(shared: Engine) -> None:
    li = management.create(shared, ACTOR, "li", Role.ADMIN, PASSWORD)
    secret = two_factor.make_secret()
    code = pyotp.TOTP(secret).at(NOON)
    two_factor.turn_on(shared, SEALER, ACTOR, li, secret, pyotp.TOTP(secret).at(NOON - MINUTE), NOON - MINUTE)
    pending = sign_in(shared, "li", PASSWORD, HOME, NOON)
    assert isinstance(pending, CodeNeeded)
    outcomes = at_once([lambda: enter_code(shared, SEALER, pending, code, HOME, NOON)] * 4)
    assert [isinstance(outcome, SignedIn) for outcome in outcomes].count(True) == 1


def test_one_of_two_admins_stays_when_both_are_demoted_at_once(shared: Engine) -> None:
    both = [management.create(shared, ACTOR, name, Role.ADMIN, PASSWORD) for name in ("li", "wang")]
    demote = [lambda who=who: management.set_role(shared, ACTOR, who, Role.VIEWER) for who in both]
    outcomes = at_once(demote)
    assert [getattr(outcome, "problem", None) for outcome in outcomes].count(Problem.LAST_ADMIN) == 1
    with shared.connect() as connection:
        assert len(connection.scalars(select(Operator.id).where(Operator.role == Role.ADMIN)).all()) == 1


def test_one_first_admin_is_made_by_many_processes(shared: Engine) -> None:
    made = at_once([lambda: management.create_first(shared)] * 4)
    [password] = filter(None, made)
    assert isinstance(sign_in(shared, management.FIRST_ADMIN_NAME, password, HOME, NOON), SignedIn)
    assert management.create_first(shared) is None


@pytest.fixture
def secret(engine: Engine, li: int) -> str:
    """The secret of the second factor of li."""
    secret = two_factor.make_secret()
    two_factor.turn_on(engine, SEALER, ACTOR, li, secret, pyotp.TOTP(secret).at(NOON), NOON)
    return secret


def pending(engine: Engine, now: datetime) -> CodeNeeded:
    result = sign_in(engine, "li", PASSWORD, HOME, now)
    assert isinstance(result, CodeNeeded)
    return result


def test_a_code_is_good_for_a_while_and_once(engine: Engine, secret: str) -> None:
    later = NOON + timedelta(minutes=5)
    code = pyotp.TOTP(secret).at(later)
    for wrong in ("", "000000x", "１２", pyotp.TOTP(secret).at(later - MINUTE)):
        with pytest.raises(SignInRefused):
            enter_code(engine, SEALER, pending(engine, later), wrong, HOME, later)
    fullwidth = code.translate({ord("0") + digit: ord("０") + digit for digit in range(10)})
    drifted = later + timedelta(seconds=two_factor.STEP_SECONDS)
    assert enter_code(
        engine, SEALER, pending(engine, later), f" {fullwidth[:3]} {fullwidth[3:]}", HOME, drifted
    )
    with pytest.raises(SignInRefused):
        enter_code(engine, SEALER, pending(engine, later), code, HOME, drifted)


def test_wrong_codes_lock_the_name_however_often_the_password_is_right(engine: Engine, secret: str) -> None:
    for _ in range(5):
        with pytest.raises(SignInRefused):
            enter_code(engine, SEALER, pending(engine, NOON), "000000", HOME, NOON)
    assert refused(engine, "li", PASSWORD, ELSEWHERE, NOON) == MINUTE


def test_a_right_password_leaves_the_wait_after_wrong_codes_as_it_was(engine: Engine, secret: str) -> None:
    for _ in range(5):
        with pytest.raises(SignInRefused):
            enter_code(engine, SEALER, pending(engine, NOON), "000000", HOME, NOON)
    later = NOON + MINUTE
    code = pyotp.TOTP(secret).at(later)
    assert enter_code(engine, SEALER, pending(engine, later), code, HOME, later)


def test_right_passwords_do_not_delay_that_failures_are_forgotten(engine: Engine, secret: str) -> None:
    for _ in range(4):
        refused(engine, "li", "wrong", HOME, NOON)
    for hours in range(1, 24):
        pending(engine, NOON + timedelta(hours=hours))
    tomorrow = NOON + timedelta(hours=24)
    assert refused(engine, "li", "wrong", HOME, tomorrow) is None
    assert pending(engine, tomorrow)


def test_a_code_two_steps_ahead_is_not_good_yet(engine: Engine, secret: str) -> None:
    code = pyotp.TOTP(secret).at(NOON + MINUTE)
    with pytest.raises(SignInRefused):
        enter_code(engine, SEALER, pending(engine, NOON), code, HOME, NOON)
    assert enter_code(engine, SEALER, pending(engine, NOON), code, HOME, NOON + MINUTE / 2)


def test_the_secret_is_sealed_again_with_the_present_key(engine: Engine, li: int, secret: str) -> None:
    assert secret not in operator_of(engine, li).totp_secret
    changing, later = Sealer("a new key", "a key for tests only"), NOON + MINUTE
    assert enter_code(engine, changing, pending(engine, later), pyotp.TOTP(secret).at(later), HOME, later)
    assert Sealer("a new key").open(operator_of(engine, li).totp_secret) == secret
    assert SEALER.open(operator_of(engine, li).totp_secret) is None


def test_a_recovery_code_is_good_once_and_kept_as_a_digest(engine: Engine, li: int) -> None:
    secret = two_factor.make_secret()
    codes = two_factor.turn_on(engine, SEALER, ACTOR, li, secret, pyotp.TOTP(secret).at(NOON), NOON)
    assert len(set(codes)) == 10
    assert not set(codes) & set(operator_of(engine, li).recovery_hashes)
    assert enter_code(engine, SEALER, pending(engine, NOON), codes[3].upper(), HOME, NOON)
    with pytest.raises(SignInRefused):
        enter_code(engine, SEALER, pending(engine, NOON), codes[3], HOME, NOON)
    assert enter_code(engine, SEALER, pending(engine, NOON), codes[4].replace("-", ""), HOME, NOON)
    assert len(operator_of(engine, li).recovery_hashes) == 8
    assert actions(engine).count("recovery_code_used") == 2


def test_a_second_factor_begins_with_one_of_its_codes(engine: Engine, li: int) -> None:
    secret = two_factor.make_secret()
    wrong = pyotp.TOTP(two_factor.make_secret()).at(NOON)
    assert problem(lambda: two_factor.turn_on(engine, SEALER, ACTOR, li, secret, wrong, NOON)) is Problem.CODE
    assert signed_in(engine)


def test_a_password_that_was_verified_is_worth_nothing_after_it_is_changed(
    engine: Engine, li: int, secret: str
) -> None:
    verified, later = pending(engine, NOON), NOON + MINUTE
    management.reset_password(engine, ACTOR, li, "another long password")
    with pytest.raises(SignInRefused):
        enter_code(engine, SEALER, verified, pyotp.TOTP(secret).at(later), HOME, later)


def store_weak_hash(engine: Engine) -> None:
    """Replace the hashes of all operators by one of `PASSWORD` with other parameters than those of today."""
    weak = PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    with engine.begin() as connection:
        connection.execute(update(Operator).values(password_hash=weak))


@contextmanager
def after_each_verification(act: Attempt) -> Iterator[None]:
    """Call `act` whenever a password has been verified with Argon2, before anything else is done."""

    def note(frame: FrameType, kind: str, argument: object) -> None:
        if kind == "return" and frame.f_code is PasswordHasher.verify.__code__:
            act()

    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("outdated", [False, True])
def test_no_session_begins_with_a_password_that_is_changed_meanwhile(
    engine: Engine, li: int, outdated: bool
) -> None:
    if outdated:
        store_weak_hash(engine)
    reset = partial(management.reset_password, engine, ACTOR, li, "another long password")
    with after_each_verification(reset):
        assert refused(engine, "li", PASSWORD, HOME, NOON) is None
    with engine.connect() as connection:
        assert connection.execute(select(OperatorSession.id)).all() == []


def test_no_session_begins_for_who_is_disabled_meanwhile(engine: Engine, li: int) -> None:
    management.create(engine, ACTOR, "wang", Role.ADMIN, PASSWORD)
    with after_each_verification(partial(management.disable, engine, ACTOR, li)):
        assert refused(engine, "li", PASSWORD, HOME, NOON) is None
    with engine.connect() as connection:
        assert connection.execute(select(OperatorSession.id)).all() == []


def test_a_session_is_worth_nothing_while_its_operator_is_disabled(engine: Engine, li: int) -> None:
    token = signed_in(engine).token
    with engine.begin() as connection:
        connection.execute(update(Operator).values(disabled=True))  # without an end of its sessions
    assert authenticate(engine, token, NOON) is None


@pytest.mark.parametrize("name", ["li", "nobody"])
def test_a_wrong_password_takes_as_long_for_names_that_nobody_has(engine: Engine, li: int, name: str) -> None:
    verifications: list[bool] = []
    with after_each_verification(lambda: verifications.append(True)):
        refused(engine, name, "wrong", HOME, NOON)
    assert len(verifications) == 1, "Argon2 takes nearly all of the time"


def test_a_second_factor_that_is_off_is_not_asked_for(engine: Engine, li: int, secret: str) -> None:
    two_factor.turn_off(engine, ACTOR, li)
    assert signed_in(engine)
    assert problem(lambda: two_factor.turn_off(engine, ACTOR, li + 1)) is Problem.UNKNOWN


def test_who_is_disabled_is_out_at_once_and_stays_out(engine: Engine, li: int) -> None:
    management.create(engine, ACTOR, "wang", Role.ADMIN, PASSWORD)
    token = signed_in(engine).token
    management.disable(engine, ACTOR, li)
    management.disable(engine, ACTOR, li)
    assert authenticate(engine, token, NOON) is None
    assert refused(engine, "li", PASSWORD, HOME, NOON) is None
    management.enable(engine, ACTOR, li)
    assert authenticate(engine, token, NOON) is None
    assert signed_in(engine)
    assert actions(engine).count("operator_disabled") == 1


def test_another_password_ends_sessions(engine: Engine, li: int) -> None:
    here, there = signed_in(engine).token, signed_in(engine).token
    found = authenticate(engine, here, NOON)
    assert found
    management.change_password(engine, ACTOR, li, "my new password", found.session_id)
    assert authenticate(engine, here, NOON)
    assert authenticate(engine, there, NOON) is None
    management.reset_password(engine, ACTOR, li, PASSWORD)
    assert authenticate(engine, here, NOON) is None


def test_sessions_are_ended_one_by_one_or_all_at_once(engine: Engine, li: int) -> None:
    tokens = [signed_in(engine).token for _ in range(3)]
    found = authenticate(engine, tokens[0], NOON)
    assert found
    end_session(engine, ACTOR, li + 1, found.session_id, "session_revoked")
    assert authenticate(engine, tokens[0], NOON), "a session of another operator is not ended"
    end_session(engine, ACTOR, li, found.session_id, "session_revoked")
    assert [bool(authenticate(engine, token, NOON)) for token in tokens] == [False, True, True]
    end_all_sessions(engine, ACTOR, li)
    assert not any(authenticate(engine, token, NOON) for token in tokens)


def test_a_role_counts_at_once(engine: Engine, li: int) -> None:
    management.create(engine, ACTOR, "wang", Role.ADMIN, PASSWORD)
    token = signed_in(engine).token
    management.set_role(engine, ACTOR, li, Role.VIEWER)
    found = authenticate(engine, token, NOON)
    assert found
    assert found.operator.role == Role.VIEWER
    with engine.connect() as connection:
        entry = connection.execute(
            select(AuditEntry.__table__).where(AuditEntry.action == "role_changed")
        ).one()
    assert (entry.before, entry.after, entry.subject) == ("admin", "viewer", f"operator:{li}")


def test_the_last_admin_stays(engine: Engine, li: int) -> None:
    wang = management.create(engine, ACTOR, "wang", Role.ADMIN, PASSWORD)
    management.disable(engine, ACTOR, wang)
    assert problem(lambda: management.disable(engine, ACTOR, li)) is Problem.LAST_ADMIN
    assert problem(lambda: management.set_role(engine, ACTOR, li, Role.OPERATOR)) is Problem.LAST_ADMIN
    management.set_role(engine, ACTOR, li, Role.ADMIN)
    assert operator_of(engine, li).role == Role.ADMIN


@pytest.mark.parametrize("name", ["", "li wang", "x" * 65, "@li", "li,", "tab\t", "\u202eli", "\x00"])
def test_names_that_a_note_could_not_mention_are_told(engine: Engine, name: str) -> None:
    assert problem(lambda: management.create(engine, ACTOR, name, Role.VIEWER, PASSWORD)) is Problem.NAME


@pytest.mark.parametrize("password", ["", "nine char", "x" * 257])
def test_passwords_that_are_too_short_or_long_are_told(engine: Engine, li: int, password: str) -> None:
    assert (
        problem(lambda: management.create(engine, ACTOR, "wang", Role.VIEWER, password)) is Problem.PASSWORD
    )
    assert problem(lambda: management.reset_password(engine, ACTOR, li, password)) is Problem.PASSWORD
    assert signed_in(engine)


@pytest.mark.parametrize(
    "password",
    [
        "1234567890",
        "１２３４５６７８９０",
        " " * 10,
        "qwertyuiop",
        "password123",
        "5201314520",
        "2026112420",
        "wechat_bot",
        "liuxiaoming",
        "x" * 256,
    ],
)
def test_passwords_that_are_easily_guessed_are_told(engine: Engine, li: int, password: str) -> None:
    create = partial(management.create, engine, ACTOR, "liuxiaoming", Role.VIEWER, password)
    assert problem(create) is Problem.PASSWORD_GUESSABLE
    if password != "liuxiaoming":
        reset = partial(management.reset_password, engine, ACTOR, li, password)
        assert problem(reset) is Problem.PASSWORD_GUESSABLE


def test_a_password_is_temporary_until_its_operator_changes_it(engine: Engine, li: int) -> None:
    assert operator_of(engine, li).password_temporary
    management.change_password(engine, ACTOR, li, "another long password", None)
    assert not operator_of(engine, li).password_temporary
    management.reset_password(engine, ACTOR, li, PASSWORD)
    assert operator_of(engine, li).password_temporary


def test_other_problems_are_told(engine: Engine, li: int) -> None:
    assert (
        problem(lambda: management.create(engine, ACTOR, "li", Role.VIEWER, PASSWORD)) is Problem.NAME_TAKEN
    )
    assert problem(lambda: management.enable(engine, ACTOR, li + 1)) is Problem.UNKNOWN
    mars = {"time_zone": "Mars/Olympus"}
    assert problem(lambda: management.set_preferences(engine, li, **mars)) is Problem.TIME_ZONE


def test_preferences_are_kept(engine: Engine, li: int) -> None:
    management.set_preferences(engine, li, language="en", time_zone="Europe/Berlin", columns=["state"])
    row = operator_of(engine, li)
    assert (row.language, row.time_zone, row.columns) == ("en", "Europe/Berlin", ["state"])


def test_hashes_are_renewed_with_the_parameters_of_today(engine: Engine, li: int) -> None:
    store_weak_hash(engine)
    assert signed_in(engine)
    assert not passwords.is_outdated(operator_of(engine, li).password_hash)
    assert signed_in(engine)
    assert not passwords.is_outdated(passwords.DUMMY_HASH), "responses for unknown names would be faster"
