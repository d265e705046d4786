"""What servers and the ``flask`` command load."""

from config import settings
from wechat_bot import create_app

app = create_app(settings)
