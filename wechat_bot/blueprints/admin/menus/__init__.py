"""Pages of the custom menu."""
