"""What the platform lets the account do: every feature asks here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Engine, delete, insert, select

from ...database.transactions import retry_conflicts, transaction
from ...models import Capability
from ...settings import AccountSettings, Switch
from ...wechat.account_kinds import AccountKind
from .. import audit
from ..audit import Actor


class Feature(StrEnum):
    """What not every account may do (``wechat-platform.md`` section 9.2)."""

    CUSTOMER_SERVICE = "customer_service"
    FOLLOWERS = "followers"
    """The list of followers, their data, remarks and tags."""
    MENU = "menu"
    MEDIA = "media"
    """Temporary material: files of followers, and files to send to them."""
    PUBLISH = "publish"
    MASS = "mass"
    TEMPLATES = "templates"
    QR_CODES = "qr_codes"
    OAUTH = "oauth"
    JS_SDK = "js_sdk"
    STATISTICS = "statistics"


class PermissionReason(StrEnum):
    """Why an account may or may not."""

    OPERATOR = "operator"
    SETTINGS = "settings"
    KIND = "kind"
    """Accounts of this kind may or may not."""
    LEARNED = "learned"
    """The platform said so."""
    NO_SECRET = "no_secret"
    """Without AppID and AppSecret there is no API."""
    UNKNOWN = "unknown"
    """Nobody knows; it is tried."""


_VERIFIED = frozenset(Feature) - {Feature.TEMPLATES, Feature.QR_CODES, Feature.OAUTH}
_OF_KIND = {
    AccountKind.UNVERIFIED_SUBSCRIPTION: frozenset({Feature.JS_SDK}),
    AccountKind.VERIFIED_SUBSCRIPTION: _VERIFIED,
    AccountKind.UNVERIFIED_SERVICE: frozenset({Feature.JS_SDK, Feature.MENU}),
    AccountKind.VERIFIED_SERVICE: frozenset(Feature),
    AccountKind.TEST: frozenset(Feature) - {Feature.PUBLISH, Feature.STATISTICS},
}


@dataclass(frozen=True)
class Permission:
    """Whether the account may use a feature; true where nobody knows."""

    allowed: bool
    reason: PermissionReason
    at: datetime | None = None
    """When an operator decided it or the platform said it."""


class Capabilities:
    """What operators, the settings and the platform say, in this order."""

    def __init__(self, engine: Engine, account: AccountSettings) -> None:
        self._engine = engine
        self._account = account

    def allows(self, account_id: int, feature: Feature) -> bool:
        """Whether to try `feature`."""
        return self.permission(account_id, feature).allowed

    def permission(self, account_id: int, feature: Feature) -> Permission:
        fixed = self._fixed(feature)
        if fixed and fixed.reason is PermissionReason.NO_SECRET:
            return fixed
        return self.all(account_id)[feature]

    def all(self, account_id: int) -> dict[Feature, Permission]:
        """Every feature, in one statement."""
        with self._engine.connect() as connection:
            rows = connection.execute(
                select(Capability.feature, Capability.allowed, Capability.by_operator, Capability.at).where(
                    Capability.account_id == account_id
                )
            ).all()
        said = {
            row.feature: Permission(
                row.allowed,
                PermissionReason.OPERATOR if row.by_operator else PermissionReason.LEARNED,
                row.at,
            )
            for row in rows
        }
        return {feature: self._decide(feature, said.get(feature)) for feature in Feature}

    def _decide(self, feature: Feature, said: Permission | None) -> Permission:
        fixed = self._fixed(feature)
        if fixed and fixed.reason is PermissionReason.NO_SECRET:
            return fixed
        if said and said.reason is PermissionReason.OPERATOR:
            return said
        return fixed or said or self._expected(feature)

    def _fixed(self, feature: Feature) -> Permission | None:
        """What the settings decide."""
        account = self._account
        if not account.has_api:
            return Permission(False, PermissionReason.NO_SECRET)
        if feature is Feature.CUSTOMER_SERVICE and account.customer_service is not Switch.AUTO:
            return Permission(account.customer_service is Switch.YES, PermissionReason.SETTINGS)
        return None

    def _expected(self, feature: Feature) -> Permission:
        kind = self._account.kind
        if kind is AccountKind.UNKNOWN:
            return Permission(True, PermissionReason.UNKNOWN)
        return Permission(feature in _OF_KIND[kind], PermissionReason.KIND)

    @retry_conflicts
    def learn(self, account_id: int, feature: Feature, *, allowed: bool) -> None:
        """Remember what the platform answered; an operator's word stays."""
        with transaction(self._engine) as connection:
            this = (Capability.account_id == account_id, Capability.feature == feature)
            if connection.scalar(select(Capability.by_operator).where(*this)):
                return
            connection.execute(delete(Capability).where(*this))
            connection.execute(
                insert(Capability).values(
                    account_id=account_id, feature=feature, allowed=allowed, at=datetime.now(UTC)
                )
            )

    @retry_conflicts
    def override(self, actor: Actor, account_id: int, feature: Feature, allowed: bool | None) -> None:
        """Decide for the platform; None: forget what was decided and learned."""
        with transaction(self._engine) as connection:
            this = (Capability.account_id == account_id, Capability.feature == feature)
            connection.execute(delete(Capability).where(*this))
            if allowed is not None:
                connection.execute(
                    insert(Capability).values(
                        account_id=account_id,
                        feature=feature,
                        allowed=allowed,
                        by_operator=True,
                        at=datetime.now(UTC),
                    )
                )
            audit.record(connection, actor, "capability_changed", f"feature:{feature}", after=allowed)
