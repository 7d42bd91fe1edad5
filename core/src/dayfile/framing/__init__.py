"""Frames in the bytes of a source: where each record begins and ends."""
