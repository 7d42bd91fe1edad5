"""The archive on disk: its directories, work files, catalogue, and reading from it."""
