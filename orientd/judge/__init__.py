"""Weighs what the model and the witnesses say, and decides whether a photo is turned; pure."""
