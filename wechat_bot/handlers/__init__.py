"""What this bot says: the part that its owner edits. The order of the includes is the order of precedence.

Handlers that are included before the rules take their messages first; those between the two and after them
have what no rule takes. The assistant, if it is on, takes all other messages of followers. What is included
in `chat.otherwise` answers without it, and where it cannot answer.
"""

from ..routing import Router
from . import chat, commands, events, fallback, handover, rules

router = Router()
router.include(commands.router)
router.include(rules.router)
router.include(handover.router)
router.include(events.router)
router.include(chat.router)
router.include(chat.otherwise)
chat.otherwise.include(rules.last)
chat.otherwise.include(fallback.router)
