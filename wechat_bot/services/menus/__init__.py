"""The custom menu: its buttons as values, its versions, and their publication."""
