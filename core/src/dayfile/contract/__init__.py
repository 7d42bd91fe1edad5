"""The contract with plugins: validate what they return, and turn what they raise into their failure."""
