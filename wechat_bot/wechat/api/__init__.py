"""The platform's API: one module for each family, usable without Flask."""

from ._http import Transport
from .client import WeChatClient

__all__ = ["Transport", "WeChatClient"]
