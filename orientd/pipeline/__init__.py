"""Puts the stages together: order, concurrency, child processes, and what happens after a crash."""
