"""The commands: one file for each group, their options, and what they print."""
