"""Faults that replace the response of a call."""

from __future__ import annotations

from werkzeug.wrappers import Response

from ..state import APIFault, APIFaultKind


def apply_fault(response: Response, fault: APIFault | None) -> Response:
    """Return the response that the caller gets."""
    match fault and fault.kind:
        case APIFaultKind.STATUS_500:
            return Response("Internal Server Error", 500, mimetype="text/plain")
        case APIFaultKind.HTML:
            return Response("<html><body><h1>502 Bad Gateway</h1></body></html>", 502, mimetype="text/html")
        case APIFaultKind.GARBAGE:
            return Response(b"\xff\xfe\x00{", mimetype="text/plain")
        case APIFaultKind.CUT:
            return _truncate(response.get_data())
        case APIFaultKind.HUGE:
            return Response(b'{"errmsg": "' + b"x" * 10 * 1024 * 1024 + b'"}', mimetype="text/plain")
        case _:
            return response


def _truncate(content: bytes) -> Response:
    """Return half of the content with the length of all of it, so that the server closes the connection."""
    response = Response(content[: len(content) // 2], mimetype="text/plain")
    response.automatically_set_content_length = False
    response.headers["Content-Length"] = str(len(content))
    return response
