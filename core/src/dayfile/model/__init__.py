"""The nouns: clocks, data types, sources, batches. Imports nothing of dayfile but errors."""
