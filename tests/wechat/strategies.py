"""What hypothesis tries."""

from __future__ import annotations

from hypothesis import strategies as st

ILLEGAL = [chr(code) for code in (*range(32), 0xFFFE, 0xFFFF) if chr(code) not in "\t\n\r"]
"""What XML 1.0 cannot carry, beside surrogates."""

legal_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=ILLEGAL), max_size=60)
"""Text that XML 1.0 can carry, of any language."""

any_text = st.text(st.characters(), max_size=60)
"""Any text at all, with control characters and lone surrogates."""
