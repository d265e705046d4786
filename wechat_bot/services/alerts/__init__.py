"""Alerts to group robots, webhooks and mail: operators hear that a follower waits for a person."""
