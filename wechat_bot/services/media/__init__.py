"""Media files of messages: download, validation, storage, and conversion for browsers."""
