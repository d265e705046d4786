"""The embedding model of a profile, which gets no numbers that identify people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...llm import LanguageModel
from .masking import Mask
from .profiles import Profiles


@dataclass(frozen=True)
class MaskedEmbedder:
    """A `services.knowledge.vectors.Embedder`."""

    endpoint: LanguageModel
    model: str

    def embed(self, texts: Sequence[str], timeout: float) -> list[list[float]]:
        masked = [Mask([text]).hide(text) for text in texts]
        return replace(self.endpoint, timeout=timeout).embed(masked, self.model)


def embedder(profiles: Profiles, account_id: int) -> MaskedEmbedder | None:
    """Return the embedding model of an account's profile; None if it names none, or no endpoint."""
    stored = profiles.current(account_id)
    if not (stored.profile.embedding_model.strip() and stored.profile.base_url):
        return None
    return MaskedEmbedder(profiles.model(stored), stored.profile.embedding_model)
