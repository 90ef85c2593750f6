"""The watcher: events, waiting until a file is complete, limits, metrics, and systemd units (`units`)."""
