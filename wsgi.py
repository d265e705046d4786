"""What servers and the ``flask`` command load."""

from config import settings
from wechat_bot import create_app
from wechat_bot.settings import SettingsError

try:
    app = create_app(settings)
except SettingsError as error:
    raise SystemExit(str(error)) from error
