"""Input → day files: intake, pipeline, runs and their reports."""
