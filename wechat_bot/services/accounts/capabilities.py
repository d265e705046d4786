"""API permissions of the account, by feature."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select, update

from ...database.clock import database_now
from ...database.transactions import retry_conflicts, transaction
from ...models import Account, Capability
from ...settings import AccountSettings, Switch
from ...wechat.account_kinds import AccountKind
from .. import audit
from ..audit import Actor

REFUSAL_TIMEOUT = timedelta(days=1)
"""Time after which a feature is tried again that the platform refused."""


class Feature(StrEnum):
    """A feature that not every account may use (``wechat-platform.md`` section 9.2)."""

    CUSTOMER_SERVICE = "customer_service"
    FOLLOWERS = "followers"
    """The list of followers, their profiles, remarks and tags."""
    MENU = "menu"
    MEDIA = "media"
    """Temporary media: files of followers, and files to send to them."""
    PUBLISH = "publish"
    MASS = "mass"
    TEMPLATES = "templates"
    QR_CODES = "qr_codes"
    OAUTH = "oauth"
    JS_SDK = "js_sdk"
    STATISTICS = "statistics"


class PermissionReason(StrEnum):
    """Source of a permission."""

    OPERATOR = "operator"
    SETTINGS = "settings"
    KIND = "kind"
    """The rule for accounts of this kind."""
    LEARNED = "learned"
    """An earlier response of the platform."""
    NO_SECRET = "no_secret"
    """The API cannot be used without AppID and AppSecret."""
    UNKNOWN = "unknown"
    """Not known; the feature is tried."""


_VERIFIED = frozenset(Feature) - {Feature.TEMPLATES, Feature.QR_CODES, Feature.OAUTH}
_FEATURES_BY_KIND = {
    AccountKind.UNVERIFIED_SUBSCRIPTION: frozenset({Feature.JS_SDK}),
    AccountKind.VERIFIED_SUBSCRIPTION: _VERIFIED,
    AccountKind.UNVERIFIED_SERVICE: frozenset({Feature.JS_SDK, Feature.MENU}),
    AccountKind.VERIFIED_SERVICE: frozenset(Feature),
    AccountKind.TEST: frozenset(Feature) - {Feature.PUBLISH, Feature.STATISTICS},
}


@dataclass(frozen=True)
class Permission:
    """Whether the account may use a feature; true if it is not known."""

    allowed: bool
    reason: PermissionReason
    at: datetime | None = None
    """Time of the operator's decision or of the platform's response."""
    refused_at: datetime | None = None
    """When the platform refused the account itself; None if it has taken a message since."""


_NO_SECRET = Permission(False, PermissionReason.NO_SECRET)


class Capabilities:
    """The permissions of accounts.

    The sources in order of precedence: operators, the settings, responses of the platform, the account kind.
    """

    def __init__(self, engine: Engine, account: AccountSettings) -> None:
        self._engine = engine
        self._account = account

    def allows(self, account_id: int, feature: Feature) -> bool:
        """Whether the account may use `feature`; true if it is not known."""
        return self.permission(account_id, feature).allowed

    def permission(self, account_id: int, feature: Feature) -> Permission:
        return self.all(account_id)[feature] if self._account.has_api else _NO_SECRET

    def all(self, account_id: int) -> dict[Feature, Permission]:
        """Return the permissions of all features, which takes one statement."""
        found = (
            select(Account.refused_at, Capability.__table__)
            .outerjoin(Capability, Capability.account_id == Account.id)
            .where(Account.id == account_id)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(found).all()
        stored = {row.feature: row for row in rows if row.feature}
        refused_at = rows[0].refused_at if rows else None
        decided = {feature: self._decide(feature, stored.get(feature)) for feature in Feature}
        return {feature: replace(each, refused_at=refused_at) for feature, each in decided.items()}

    def _decide(self, feature: Feature, stored: Any) -> Permission:
        account = self._account
        if not account.has_api:
            return _NO_SECRET
        if stored and stored.by_operator:
            return Permission(stored.allowed, PermissionReason.OPERATOR, stored.at)
        if feature is Feature.CUSTOMER_SERVICE and account.customer_service is not Switch.AUTO:
            return Permission(account.customer_service is Switch.YES, PermissionReason.SETTINGS)
        if stored and self._is_current(stored):
            return Permission(stored.allowed, PermissionReason.LEARNED, stored.at)
        if account.kind is AccountKind.UNKNOWN:
            return Permission(True, PermissionReason.UNKNOWN)
        return Permission(feature in _FEATURES_BY_KIND[account.kind], PermissionReason.KIND)

    def _is_current(self, stored: Any) -> bool:
        """Whether a response of the platform still counts: another kind has other permissions."""
        is_recent = stored.allowed or database_now() - stored.at < REFUSAL_TIMEOUT
        return is_recent and stored.kind in {None, self._account.kind}

    @retry_conflicts
    def record_response(self, account_id: int, feature: Feature, *, allowed: bool) -> None:
        """Record a response of the platform, unless an operator has decided about `feature`.

        One that allows something ends what `record_refusal` recorded.
        """
        with transaction(self._engine) as connection:
            this = Capability.account_id == account_id, Capability.feature == feature
            if not connection.scalar(select(Capability.by_operator).where(*this)):
                _replace(connection, account_id, feature, allowed, kind=self._account.kind)
            if allowed:
                _set_refused_at(connection, account_id, None)

    @retry_conflicts
    def record_refusal(self, account_id: int) -> None:
        """Record that the platform refused the account itself, whose messages cannot be relied upon now."""
        with transaction(self._engine) as connection:
            _set_refused_at(connection, account_id, database_now())

    @retry_conflicts
    def forget_responses(self, account_id: int) -> None:
        """Forget all that the platform has said; the decisions of operators stay."""
        with transaction(self._engine) as connection:
            connection.execute(delete(Capability).filter_by(account_id=account_id, by_operator=False))
            _set_refused_at(connection, account_id, None)

    @retry_conflicts
    def override(self, actor: Actor, account_id: int, feature: Feature, allowed: bool | None) -> None:
        """Record the decision of an operator. None removes it, and the recorded response of the platform."""
        with transaction(self._engine) as connection:
            _replace(connection, account_id, feature, allowed, by_operator=True)
            audit.record(connection, actor, "capability_changed", f"feature:{feature}", after=allowed)


def _set_refused_at(connection: Connection, account_id: int, at: datetime | None) -> None:
    connection.execute(update(Account).where(Account.id == account_id).values(refused_at=at))


def _replace(
    connection: Connection,
    account_id: int,
    feature: Feature,
    allowed: bool | None,
    *,
    by_operator: bool = False,
    kind: AccountKind | None = None,
) -> None:
    key = {"account_id": account_id, "feature": feature}
    connection.execute(delete(Capability).filter_by(**key))
    if allowed is not None:
        values = {"allowed": allowed, "by_operator": by_operator, "kind": kind, "at": database_now()}
        connection.execute(insert(Capability).values(key | values))
