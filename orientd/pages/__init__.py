"""Documents: how pages of images and PDFs lie, and their upright, straight copies."""
