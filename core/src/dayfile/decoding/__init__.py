"""The way of a source from frames or lines to batches of records, and back."""
