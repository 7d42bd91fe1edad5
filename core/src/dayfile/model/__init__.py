"""The nouns: clocks, data types, sources, batches. Imports nothing of dayfile except errors."""
