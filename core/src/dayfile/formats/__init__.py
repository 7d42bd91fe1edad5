"""Bytes to records and back: the protocol of a format, and the core's own formats."""
