"""What outlives the process: a file with all that a restart needs, and when it is written and read."""
