"""What orientd remembers: the journal, the cache of photos judged, locks, and originals kept for undo."""
