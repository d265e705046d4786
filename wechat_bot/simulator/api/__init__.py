"""The platform's API, played from its documentation: ``wechat-platform.md`` sections 6 to 9."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import httpx2
from werkzeug.wrappers import Request, Response

from ...database.transactions import in_transaction
from ...wechat.credentials import Credentials
from ..state import (
    APIFault,
    APIFaultKind,
    Code,
    PlatformState,
    SimulatedAccount,
    SimulatedComment,
    SimulatedEvent,
    SimulatedFailedCall,
    SimulatedFollower,
    SimulatedToken,
)
from ..store import MemoryStore, StateStore
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
from .call import Answer, CallRefused, Endpoint, SimulatedCall, UploadedFile, check
from .faults import apply_fault
from .permissions import GRANTED, MINUTELY, daily_limit, spend

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

_CALLS = 10_000
_FAILED = 1000
"""How many calls are remembered, and how many failed ones with all that was said."""
_ESCAPE = re.compile(r"(?<!\\)((?:\\\\)*)\\u(?!00[0-7])")


class FakeAPI:
    """The platform's API as a WSGI application: does what the platform does, fails on request.

    ``api.errcodes["/cgi-bin/message/custom/send"] = [45015]`` makes the next call of it fail, `fail` breaks
    its answer; a path, method or field that the platform does not know is a mistake of the caller, kept in
    `unknown`. All it knows of the account is the state in `store`.
    """

    def __init__(
        self,
        credentials: Credentials,
        clock: Callable[[], float] = time.time,
        *,
        account: SimulatedAccount | None = None,
        store: StateStore | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`account` is of a new store in memory."""
        self.credentials = credentials
        self.clock = clock
        self.store = store or MemoryStore(PlatformState(account or SimulatedAccount()))
        self.sleep = sleep
        self.errcodes: dict[str, list[int]] = defaultdict(list)
        self.delay = 0.0
        """Seconds by which every answer is late."""

    @property
    def transport(self) -> httpx2.WSGITransport:
        """Connects a client in this process; pass it to `create_app`."""
        return httpx2.WSGITransport(app=self)

    # What happened

    @property
    def sent(self) -> list[dict[str, Any]]:
        """The customer-service messages that were sent."""
        with self.store.opened() as state:
            return [sent.body for sent in state.sent if sent.path == customer.SEND]

    @property
    def calls(self) -> list[str]:
        """The paths that were called, also in vain."""
        with self.store.opened() as state:
            return list(state.calls)

    @property
    def unknown(self) -> list[str]:
        with self.store.opened() as state:
            return list(state.unknown)

    @property
    def token(self) -> str:
        """The access token that was issued last."""
        with self.store.opened() as state:
            return state.tokens[-1].value if state.tokens else ""

    @property
    def token_fetches(self) -> int:
        """How often one of the two endpoints answered with a token."""
        with self.store.opened() as state:
            return state.token_fetches

    # What the platform, its operators and followers do

    def advance(self, seconds: float) -> None:
        """Move the platform's clock forward."""
        with self.store.opened() as state:
            state.clock_offset += seconds

    def expire_tokens(self) -> None:
        """Make all access tokens invalid."""
        with self.store.opened() as state:
            state.tokens = []

    def fail(self, fault: APIFault, path: str = "*") -> None:
        """Let the next calls of a path fail, or of all."""
        with self.store.opened() as state:
            state.faults[path] = fault

    def follower_acted(self, openid: str, action: str, scene: str = "") -> None:
        """Tell what a follower did: message, click, follow, scan or unfollow; `scene` of a scanned code."""
        with self.store.opened() as state:
            users.act(state, openid, action, scene, self._now(state))

    def follower_accepted(self, openid: str, template_id: str, scene: int | None = None) -> None:
        """A follower allows one message of a subscription notice, or a one-time subscription by `scene`."""
        with self.store.opened() as state:
            accepted = state.followers.setdefault(
                openid, SimulatedFollower(openid, subscribed=False)
            ).accepted
            key = subscriptions.acceptance(template_id, scene)
            accepted[key] = accepted.get(key, 0) + 1

    def follower_commented(self, openid: str, msg_data_id: int, content: str, index: int = 0) -> int:
        """The user_comment_id of a comment of a follower on an article."""
        with self.store.opened() as state:
            number = state.new_id()
            now = int(self._now(state))
            state.comments.append(SimulatedComment(msg_data_id, index, number, openid, content, now))
            return number

    def give_media(self, kind: str, content: bytes, filename: str, content_type: str) -> str:
        """The media id of a file that a follower sends; valid as long as one that was uploaded."""
        with self.store.opened() as state:
            given = media.temporary(kind, filename, content_type, self._now(state))
            state.media[given.media_id] = given
        self.store.write(given.media_id, content)
        return given.media_id

    def authorise(self, openid: str, scope: str = "snsapi_base") -> str:
        """The code with which the platform's OAuth page sends a browser back."""
        code = secrets.token_hex(16)
        with self.store.opened() as state:
            state.codes[code] = Code(openid, scope, self._now(state) + 300)
        return code

    def menu_of(self, openid: str) -> list[dict[str, Any]]:
        """The buttons that a follower sees."""
        with self.store.opened() as state:
            return menus.menu_of(state, state.followers.get(openid, SimulatedFollower(openid)))

    def take_events(self) -> list[SimulatedEvent]:
        """The events that are due, for the pushing side; each is given once."""
        with self.store.opened() as state:
            now = self._now(state)
            due = [event for event in state.events if event.due <= now]
            state.events = [event for event in state.events if event.due > now]
            return due

    # Answering

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        assert not in_transaction.get(), "the network is used within a transaction"
        with Request(environ) as request:
            request.get_data(parse_form_data=True)  # before the state is open
            with self.store.opened() as state:
                fault = _next_fault(state, request.path)
                response = self._respond(request, state, fault)
        self.sleep(self.delay + (fault.seconds if fault else 0))
        return apply_fault(response, fault)(environ, start_response)

    def _now(self, state: PlatformState) -> float:
        return self.clock() + state.clock_offset

    def _respond(self, request: Request, state: PlatformState, fault: APIFault | None) -> Response:
        state.calls = [*state.calls[1 - _CALLS :], request.path]
        now = self._now(state)
        try:
            if self.errcodes[request.path]:
                raise CallRefused(self.errcodes[request.path].pop(0), "injected")
            if fault and fault.kind is APIFaultKind.ERRCODE:
                raise CallRefused(fault.errcode, "injected")
            answer = self._answer(request, state, now)
        except CallRefused as refused:
            return _refusal(request, state, now, refused)
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
    """Refused without a valid token, the permission, or a rest of the quota."""
    if endpoint.token:
        _check_token(state.tokens, request.args.get("access_token"), now)
    if state.account.kind not in GRANTED[endpoint.area]:
        raise CallRefused(48001)
    spend(state, request.path, now, daily_limit(request.path, state.account.kind), 86400, 45009)
    if request.path in MINUTELY:
        spend(state, request.path, now, MINUTELY[request.path], 60, 45011)


def _check_fields(endpoint: Endpoint, call: SimulatedCall) -> list[str]:
    """The names of fields that the platform does not know; Refused if one is missing or wrong."""
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


def _check_token(issued: list[SimulatedToken], value: str | None, now: float) -> None:
    """Section 6.3: missing, malformed, unknown or replaced, expired."""
    if not value:
        raise CallRefused(41001)
    if not re.fullmatch(r"[A-Za-z0-9_-]{64}", value):
        raise CallRefused(40014)
    token = next((token for token in issued if token.value == value), None)
    if token is None or (token.replaced and now >= token.ends):
        raise CallRefused(40001)
    if now >= token.ends:
        raise CallRefused(42001)


def _refusal(request: Request, state: PlatformState, now: float, refused: CallRefused) -> Response:
    """The answer, which is remembered by its rid if the call had a token: others tell the secret."""
    rid = f"{int(now):x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
    errmsg = f"{refused.errmsg} rid: {rid}"
    response = _json({"errcode": refused.errcode, "errmsg": errmsg, **refused.more})
    if "access_token" in request.args:
        body = request.get_data(parse_form_data=True).decode(errors="replace")
        answer = response.get_data(as_text=True)
        state.failed[rid] = SimulatedFailedCall(now, request.path, body, answer, request.remote_addr or "")
    if len(state.failed) > _FAILED:
        del state.failed[next(iter(state.failed))]
    return response


def _read_upload(request: Request) -> UploadedFile:
    if (file := request.files.get("media")) is None:
        raise CallRefused(41005)
    return UploadedFile(file.filename or "", file.mimetype, file.read())


def _read_json(request: Request) -> Any:
    """The body. Escapes of characters beyond ASCII are not understood: followers would read them."""
    if not (body := request.get_data(parse_form_data=True)):
        raise CallRefused(44002)
    try:
        text = body.decode()
        if _ESCAPE.search(text) and request.path.startswith("/cgi-bin/menu/"):
            raise CallRefused(40033)
        return json.loads(_ESCAPE.sub(r"\1\\\\u", text))
    except (ValueError, RecursionError):
        raise CallRefused(47001) from None


def _json(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer, ensure_ascii=False), mimetype="text/plain")
