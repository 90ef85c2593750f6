"""Files on the disk: read, written, appended to; system calls, attributes, rights and mounts."""
