"""A simulation of the platform's API after its documentation (``wechat-platform.md`` sections 6 to 9)."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from hmac import compare_digest
from typing import Any

import httpx2
from werkzeug.wrappers import Request, Response

from ...wechat.credentials import Credentials
from ..state import (
    APIFault,
    APIFaultKind,
    Code,
    PlatformState,
    Sent,
    SimulatedAccount,
    SimulatedComment,
    SimulatedEvent,
    SimulatedFailedCall,
    SimulatedFollower,
    SimulatedToken,
)
from ..store import MemoryStore, StateStore, StoreFull
from . import (
    account,
    agents,
    comments,
    customer,
    drafts,
    mass,
    media,
    menus,
    oauth,
    qrcodes,
    statistics,
    subscriptions,
    tags,
    templates,
    tokens,
    users,
)
from .call import Answer, CallRefused, Endpoint, SimulatedCall, UploadedFile, check, refuse_if
from .faults import apply_fault
from .permissions import ALLOWED_KINDS, MINUTE_LIMITS, consume_quota, daily_limit

_FAMILIES = (
    tokens.family,
    account.family,
    users.family,
    tags.family,
    menus.family,
    customer.family,
    agents.family,
    media.family,
    drafts.family,
    mass.family,
    templates.family,
    subscriptions.family,
    qrcodes.family,
    comments.family,
    statistics.family,
    oauth.family,
)
ENDPOINTS: dict[str, Endpoint] = {
    path: endpoint for family in _FAMILIES for path, endpoint in family.endpoints.items()
}

_MAX_BODY = 20 << 20
"""Bytes of a request."""
_MAX_CALLS = 5000
"""Number of calls whose paths are kept."""
_MAX_FAILED = 100
"""Number of failed calls that are kept, with request and response."""
_MAX_KEPT = 4096
"""Bytes of the request of a failed call that are kept."""
_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u(?!00[0-7])")
"""The JSON escape of a character beyond ASCII."""


class SimulatedAPI:
    """The platform's API as a WSGI application.

    It behaves as the platform does, and fails on demand: ``api.errcodes["/cgi-bin/message/custom/send"] =
    [45015]`` makes the next call of that path fail with that error, and `fail` sets other faults. Paths,
    methods and fields that the platform does not know are mistakes of the caller and are collected in
    `unknown`. The state of the account is in `store`.

    :param account: the account of a new store in memory. It is ignored if `store` is given.
    :param before_call: is called before each call of the API, in the caller's context if the caller uses
        `transport`. An exception that it raises reaches the caller.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: Callable[[], float] = time.time,
        *,
        account: SimulatedAccount | None = None,
        store: StateStore | None = None,
        sleep: Callable[[float], None] = time.sleep,
        before_call: Callable[[], None] | None = None,
    ) -> None:
        self.credentials = credentials
        self.clock = clock
        self.store = store or MemoryStore(PlatformState(account or SimulatedAccount()))
        self.sleep = sleep
        self.before_call = before_call
        self.errcodes: dict[str, list[int]] = defaultdict(list)
        self.delay = 0.0
        """Delay of every response, in seconds."""

    @property
    def transport(self) -> httpx2.WSGITransport:
        """The transport of clients in this process, to be passed to `create_app`."""
        return httpx2.WSGITransport(app=self)

    def admits(self, request: Request) -> bool:
        """Whether a request has a valid access token or the AppSecret in its query. Changes nothing."""
        if "access_token" not in request.args:
            secret = request.args.get("secret", "").encode()
            return compare_digest(secret, self.credentials.app_secret.encode()) and secret != b""
        with self.store.opened() as state:
            try:
                _check_token(state.tokens, request.args["access_token"], self._now(state))
            except CallRefused:
                return False
        return True

    # Recorded calls

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The bodies of the customer-service messages that were sent."""
        with self.store.opened() as state:
            return [sent.body for sent in state.sent if sent.path == customer.SEND]

    @property
    def calls(self) -> list[str]:
        """The paths of all calls, including those that failed."""
        with self.store.opened() as state:
            return list(state.calls)

    @property
    def unknown(self) -> list[str]:
        """Paths, methods and fields of calls that the platform does not know."""
        with self.store.opened() as state:
            return list(state.unknown)

    @property
    def token(self) -> str:
        """The latest access token, or empty."""
        with self.store.opened() as state:
            return state.tokens[-1].value if state.tokens else ""

    @property
    def token_fetches(self) -> int:
        """Number of times that one of the two endpoints returned a token."""
        with self.store.opened() as state:
            return state.token_fetches

    # Actions of the platform and of followers

    def advance(self, seconds: float) -> None:
        """Move the platform's clock forward."""
        with self.store.opened() as state:
            state.clock_offset += seconds

    def expire_tokens(self) -> None:
        """Make all access tokens invalid."""
        with self.store.opened() as state:
            state.tokens = []

    def fail(self, fault: APIFault, path: str = "*") -> None:
        """Set the fault of the next calls of a path, or of all paths."""
        with self.store.opened() as state:
            state.faults[path] = fault

    def follower_acted(self, openid: str, action: str, scene: str = "") -> None:
        """Record an action of a follower, which may open the window for customer-service messages.

        :param action: message, click, follow, scan or unfollow.
        :param scene: the scene of a scanned QR code.
        """
        with self.store.opened() as state:
            users.record_action(state, openid, action, scene, self._now(state))

    def follower_accepted(self, openid: str, template_id: str, scene: int | None = None) -> None:
        """Let a follower accept one message of a template: a one-time subscription if `scene` is given, or
        else a subscription notice."""
        with self.store.opened() as state:
            accepted = state.followers.setdefault(
                openid, SimulatedFollower(openid, subscribed=False)
            ).accepted
            key = subscriptions.acceptance_key(template_id, scene)
            accepted[key] = accepted.get(key, 0) + 1

    def follower_commented(self, openid: str, msg_data_id: int, content: str, index: int = 0) -> int:
        """Add a comment of a follower to an article, and return its user_comment_id."""
        with self.store.opened() as state:
            number = state.new_id()
            now = int(self._now(state))
            state.comments.append(SimulatedComment(msg_data_id, index, number, openid, content, now))
            return number

    def give_media(
        self, kind: str, content: bytes, filename: str, content_type: str, *, permanent: bool = False
    ) -> str:
        """Store a file that a follower sends or the platform's console has, and return its media id."""
        with self.store.opened() as state:
            stored = media.temporary(kind, filename, content_type, self._now(state))
            if permanent:
                stored.ends = None
            state.media[stored.media_id] = stored
        self.store.write(stored.media_id, content)
        return stored.media_id

    def give_news(self, *articles: dict[str, Any]) -> str:
        """Store articles as permanent material, as accounts have it from before there were drafts."""
        with self.store.opened() as state:
            stored = media.temporary("news", "", "", self._now(state))
            stored.ends, stored.articles = None, list(articles)
            state.media[stored.media_id] = stored
        return stored.media_id

    def set_console(
        self, menu: list[dict[str, Any]] | None = None, auto_replies: dict[str, Any] | None = None
    ) -> None:
        """Set the menu and the automatic replies that were made in the platform's console.

        They have the forms in which the API returns them (sections 7.3 and 7.17).
        """
        with self.store.opened() as state:
            state.console_menu, state.auto_replies = menu or [], auto_replies or {}

    def authorise(self, openid: str, scope: str = "snsapi_base") -> str:
        """Return a code, with which the platform's OAuth page would redirect a browser back."""
        code = secrets.token_hex(16)
        with self.store.opened() as state:
            state.codes[code] = Code(openid, scope, self._now(state) + 300)
        return code

    def menu_of(self, openid: str) -> list[dict[str, Any]]:
        """Return the buttons of the menu that a follower sees; it may be of the platform's console."""
        with self.store.opened() as state:
            return menus.shown_to(state, state.followers.get(openid, SimulatedFollower(openid)))

    def follower_tapped(self, openid: str, button: dict[str, Any]) -> None:
        """Send what the platform itself sends when a follower taps a button, without a push."""
        with self.store.opened() as state:
            if message := menus.message_of(state, button):
                state.sent.append(Sent(menus.TAP, openid, message, self._now(state)))

    def take_events(self) -> list[SimulatedEvent]:
        """Remove the events that are due, and return them to be pushed."""
        with self.store.opened() as state:
            now = self._now(state)
            due = [event for event in state.events if event.due <= now]
            state.events = [event for event in state.events if event.due > now]
            return due

    # Handling of calls

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        if self.before_call:
            self.before_call()
        with Request(environ) as request:
            request.max_content_length = _MAX_BODY
            request.get_data(parse_form_data=True)  # while the state is not yet locked
            try:
                with self.store.opened() as state:
                    fault = _next_fault(state, request.path)
                    response = self._respond(request, state, fault)
            except StoreFull:
                response = _json({"errcode": -1, "errmsg": "the simulator is full, it must be reset"})
        self.sleep(self.delay + (fault.seconds if fault else 0))
        return apply_fault(response, fault)(environ, start_response)

    def _now(self, state: PlatformState) -> float:
        return self.clock() + state.clock_offset

    def _respond(self, request: Request, state: PlatformState, fault: APIFault | None) -> Response:
        state.calls = [*state.calls[1 - _MAX_CALLS :], request.path]
        now = self._now(state)
        try:
            if self.errcodes[request.path]:
                raise CallRefused(self.errcodes[request.path].pop(0), "injected")
            if fault and fault.kind is APIFaultKind.ERRCODE:
                raise CallRefused(fault.errcode, "injected")
            answer = self._answer(request, state, now)
        except CallRefused as refused:
            return _refusal(request, state, now, refused)
        except FileNotFoundError:  # the medium has made room for others
            return _refusal(request, state, now, CallRefused(40007))
        if isinstance(answer, Response):
            return answer
        return _json(answer if answer is not None else {"errcode": 0, "errmsg": "ok"})

    def _answer(self, request: Request, state: PlatformState, now: float) -> Answer:
        if request.path.startswith(media.VIDEOS):
            return media.video(self.store, state, request.path)
        endpoint = ENDPOINTS.get(request.path)
        if endpoint is None:
            state.unknown.append(request.path)
            raise CallRefused(40066)
        if request.method != endpoint.method:
            state.unknown.append(f"{request.method} {request.path}")
            raise CallRefused(43002 if endpoint.method == "POST" else 43001)
        _permit(request, endpoint, state, now)
        call = self._call(request, endpoint, state, now)
        state.unknown += [f"{request.path} {name}" for name in _check_fields(endpoint, call)]
        return endpoint.handler(call)

    def _call(self, request: Request, endpoint: Endpoint, state: PlatformState, now: float) -> SimulatedCall:
        return SimulatedCall(
            path=request.path,
            query=request.args.to_dict(),
            body=None if endpoint.body is None else _read_json(request),
            upload=_read_upload(request) if endpoint.uploads else None,
            form=request.form.to_dict(),
            state=state,
            store=self.store,
            credentials=self.credentials,
            now=now,
            root=request.url_root,
            ip=request.remote_addr or "",
            paths=ENDPOINTS,
        )


def _permit(request: Request, endpoint: Endpoint, state: PlatformState, now: float) -> None:
    """Check token, permission and quota of a call.

    :raises CallRefused: if one of them is missing.
    """
    if endpoint.token:
        _check_token(state.tokens, request.args.get("access_token", ""), now)
    refuse_if(state.account.kind not in ALLOWED_KINDS[endpoint.area], 48001)
    consume_quota(state, request.path, now, daily_limit(request.path, state.account.kind), 86400, 45009)
    if request.path in MINUTE_LIMITS:
        consume_quota(state, request.path, now, MINUTE_LIMITS[request.path], 60, 45011)


def _check_fields(endpoint: Endpoint, call: SimulatedCall) -> list[str]:
    """Return the names of fields that the platform does not know.

    :raises CallRefused: if a field is missing or has the wrong type.
    """
    token = {"access_token": str} if endpoint.token else {}
    unknown = check({**endpoint.query, **token}, call.query)
    return unknown if endpoint.body is None else unknown + check(endpoint.body, call.body)


def _next_fault(state: PlatformState, path: str) -> APIFault | None:
    key = path if path in state.faults else "*"
    if (fault := state.faults.get(key)) and fault.times is not None:
        fault.times -= 1
        if fault.times <= 0:
            del state.faults[key]
    return fault


def _check_token(issued: list[SimulatedToken], value: str, now: float) -> None:
    """Check an access token (section 6.3).

    :raises CallRefused: if it is missing, malformed, unknown, replaced or expired.
    """
    refuse_if(not value, 41001)
    refuse_if(not re.fullmatch(r"[A-Za-z0-9_-]{64}", value), 40014)
    token = next((token for token in issued if token.value == value), None)
    if token is None or (token.replaced and now >= token.ends):
        raise CallRefused(40001)
    refuse_if(now >= token.ends, 42001)


def _refusal(request: Request, state: PlatformState, now: float, refused: CallRefused) -> Response:
    """Return the response to a refused call, and keep the call by its rid.

    Calls without a token are not kept, because they contain the AppSecret.
    """
    rid = f"{int(now):x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    errmsg = f"{refused.errmsg} rid: {rid}"
    response = _json({"errcode": refused.errcode, "errmsg": errmsg, **refused.more})
    if "access_token" in request.args:
        body = request.get_data(parse_form_data=True)[:_MAX_KEPT].decode(errors="replace")
        answer = response.get_data(as_text=True)
        state.failed[rid] = SimulatedFailedCall(now, request.path, body, answer, request.remote_addr or "")
    if len(state.failed) > _MAX_FAILED:
        del state.failed[next(iter(state.failed))]
    return response


def _read_upload(request: Request) -> UploadedFile:
    if (file := request.files.get("media")) is None:
        raise CallRefused(41005)
    return UploadedFile(file.filename or "", file.mimetype, file.read())


def _read_json(request: Request) -> Any:
    """Parse the body. As on the platform, escapes of characters beyond ASCII are not decoded, so that
    followers would see them.

    :raises CallRefused: if it is empty or no JSON.
    """
    if not (body := request.get_data(parse_form_data=True)):
        raise CallRefused(44002)
    try:
        text = body.decode()
        refuse_if(_ESCAPE.search(text) and request.path.startswith("/cgi-bin/menu/"), 40033)
        return json.loads(_ESCAPE.sub(r"\1\\\\u", text))
    except (ValueError, RecursionError):
        raise CallRefused(47001) from None


def _json(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer, ensure_ascii=False), mimetype="text/plain")
