"""What plugins must keep to: their answers are checked here, and what they raise becomes their failure."""
