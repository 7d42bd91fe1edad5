"""The record of state: what the programs of an archive are doing, and what is said of it to people and to monitors."""
