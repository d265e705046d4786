"""Pages of the rules: the list, the editor, and the test bench."""
