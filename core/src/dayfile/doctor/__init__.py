"""What is wrong with installed plugins: everything at once, each with what helps."""
