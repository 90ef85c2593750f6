"""System calls, attributes, rights and mounts."""
