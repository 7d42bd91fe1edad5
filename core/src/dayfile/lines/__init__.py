"""Lines of text as records: parts, numbers, and values that lines carry to others."""
