"""The vocabulary of layouts, and the compiler from YAML to data types."""
