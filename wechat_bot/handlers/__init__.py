"""What this bot says: the part that its owner edits. The order of the includes is the order of precedence."""

from ..routing import Router
from . import commands, events, fallback

router = Router()
router.include(events.router)
router.include(commands.router)
router.include(fallback.router)
