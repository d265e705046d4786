"""Measures wechat_bot, alone and beside its peers. See README.md."""
