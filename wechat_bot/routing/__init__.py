"""How a message finds its answer: routes to handlers, their conditions, and the rules of the console."""

from .conditions import clean, key, keyword, matches, normalize, state
from .ownership import HandoverReason, Owner
from .router import Answer, Condition, Context, Handler, Route, Router

__all__ = [
    "Answer",
    "Condition",
    "Context",
    "Handler",
    "HandoverReason",
    "Owner",
    "Route",
    "Router",
    "clean",
    "key",
    "keyword",
    "matches",
    "normalize",
    "state",
]
