"""Pages of the assistant: its profile."""
