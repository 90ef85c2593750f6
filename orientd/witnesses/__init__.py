"""What each witness of the panel is asked about a photo, and how its answer is read."""
