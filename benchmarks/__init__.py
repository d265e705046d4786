"""Benchmarks of wechat_bot, alone and in comparison with other libraries. See README.md."""
