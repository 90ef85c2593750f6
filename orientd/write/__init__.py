"""Plans a change, proves it, writes it, recovers after an interruption, undoes and verifies."""
