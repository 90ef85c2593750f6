"""What a run leaves: CSV, JSON lines, pages with pictures, progress and the summary; and plans, read back."""
