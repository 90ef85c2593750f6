"""Finds photos and sidecars below folders, leaves out what is excluded, and reads them, ahead where it can."""
