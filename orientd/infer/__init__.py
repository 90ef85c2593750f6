"""Runs the model: which models there are, what each needs, and the session that answers."""
