"""Client of the platform's API. Each module covers one family of calls; none depends on Flask."""

from ._http import Call, File, Transport
from ._network import NotPublic, deadline, network
from ._responses import Download
from .client import WeChatClient
from .tokens import LEASE, MemoryTokens, Token, TokenStore
