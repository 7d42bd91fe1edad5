"""YAML → data types → hook implementations."""
