"""Conversation tests: scenarios of which operators want to keep the answers."""
