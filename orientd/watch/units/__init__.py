"""The systemd units of orientd: installs, checks and removes them; `installation` is where to begin.

The units themselves are copied unchanged. Everything that depends on this machine is in one drop-in for each: the program, its
user, the folders it watches and those that it may write by the configuration it will read.
"""
