"""Programs and web pages that are notified of what happened."""
