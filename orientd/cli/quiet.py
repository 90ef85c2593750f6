"""The option -q of the commands that do something: they print nothing but warnings and errors, and end with their exit code."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import click

quietly = click.option("-q", "--quiet", is_flag=True, help="Print nothing but warnings and errors, on standard error.")


@contextmanager
def hushed(quiet: bool) -> Iterator[None]:
    """If it is to be `quiet`, nothing reaches standard output within."""
    if not quiet:
        yield
        return
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere):
        yield
