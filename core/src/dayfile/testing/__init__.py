"""What plugin authors get to test with."""
