"""Times made of the values of records."""
