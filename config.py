"""The settings, read once from the environment and the ``.env`` beside this file."""

from pathlib import Path

from wechat_bot.env_file import load_settings
from wechat_bot.settings import SettingsError

try:
    settings = load_settings(Path(__file__).with_name(".env"))
except SettingsError as error:
    raise SystemExit(str(error)) from error
