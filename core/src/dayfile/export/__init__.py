"""Writing days of an archive as files of other programs."""
