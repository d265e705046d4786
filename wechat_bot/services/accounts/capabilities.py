"""API permissions of the account, by feature."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from ...database.transactions import retry_conflicts, transaction
from ...models import Capability
from ...settings import AccountSettings, Switch
from ...wechat.account_kinds import AccountKind
from .. import audit
from ..audit import Actor


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
        found = select(Capability.__table__).where(Capability.account_id == account_id)
        with self._engine.connect() as connection:
            stored = {row.feature: row for row in connection.execute(found)}
        return {feature: self._decide(feature, stored.get(feature)) for feature in Feature}

    def _decide(self, feature: Feature, stored: Any) -> Permission:
        account = self._account
        if not account.has_api:
            return _NO_SECRET
        if stored and stored.by_operator:
            return Permission(stored.allowed, PermissionReason.OPERATOR, stored.at)
        if feature is Feature.CUSTOMER_SERVICE and account.customer_service is not Switch.AUTO:
            return Permission(account.customer_service is Switch.YES, PermissionReason.SETTINGS)
        if stored:
            return Permission(stored.allowed, PermissionReason.LEARNED, stored.at)
        if account.kind is AccountKind.UNKNOWN:
            return Permission(True, PermissionReason.UNKNOWN)
        return Permission(feature in _FEATURES_BY_KIND[account.kind], PermissionReason.KIND)

    @retry_conflicts
    def record_response(self, account_id: int, feature: Feature, *, allowed: bool) -> None:
        """Record a response of the platform, unless an operator has decided about `feature`."""
        with transaction(self._engine) as connection:
            this = Capability.account_id == account_id, Capability.feature == feature
            if not connection.scalar(select(Capability.by_operator).where(*this)):
                _replace(connection, account_id, feature, allowed, by_operator=False)

    @retry_conflicts
    def override(self, actor: Actor, account_id: int, feature: Feature, allowed: bool | None) -> None:
        """Record the decision of an operator. None removes it, and the recorded response of the platform."""
        with transaction(self._engine) as connection:
            _replace(connection, account_id, feature, allowed, by_operator=True)
            audit.record(connection, actor, "capability_changed", f"feature:{feature}", after=allowed)


def _replace(
    connection: Connection, account_id: int, feature: Feature, allowed: bool | None, *, by_operator: bool
) -> None:
    key = {"account_id": account_id, "feature": feature}
    connection.execute(delete(Capability).filter_by(**key))
    if allowed is not None:
        values = {"allowed": allowed, "by_operator": by_operator, "at": datetime.now(UTC)}
        connection.execute(insert(Capability).values(key | values))
