"""``switch_on.py <address>``: switches the assistant on, with the model at an address."""

import sys

from config import settings
from wechat_bot import create_app
from wechat_bot.services.assistant.profile import AssistantProfile
from wechat_bot.services.audit import Actor
from wechat_bot.simulator.language_model import STAND_IN
from wechat_bot.wiring import services

bot = services(create_app(settings))
profile = AssistantProfile(enabled=True, base_url=sys.argv[1], model=STAND_IN, may_chat=True)
bot.profiles.save(Actor(None, "benchmark", ""), bot.account_id, 0, profile, None)
