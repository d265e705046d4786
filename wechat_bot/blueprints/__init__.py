"""HTTP, one blueprint for each kind of caller."""
