"""Pages of the knowledge base: pairs, documents, and what is found for a question."""
