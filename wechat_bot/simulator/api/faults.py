"""What becomes of an answer on a bad day."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..state import APIFault, APIFaultKind


def apply_fault(response: Response, fault: APIFault | None) -> Response:
    """The answer, or what the caller gets of it."""
    match fault and fault.kind:
        case APIFaultKind.STATUS_500:
            return Response("Internal Server Error", 500, mimetype="text/plain")
        case APIFaultKind.HTML:
            return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, mimetype="text/html")
        case APIFaultKind.GARBAGE:
            return Response(b"\xff\xfe\x00{", mimetype="text/plain")
        case APIFaultKind.CUT:
            return _cut(response.get_data())
        case APIFaultKind.HUGE:
            return Response(b'{"errmsg": "' + b"x" * 10 * 1024 * 1024 + b'"}', mimetype="text/plain")
        case _:
            return response


def _cut(content: bytes) -> Response:
    """Half of the content under the length of all: the server closes the connection then."""
    response = Response(content[: len(content) // 2], mimetype="text/plain")
    response.automatically_set_content_length = False
    response.headers["Content-Length"] = str(len(content))
    return response
