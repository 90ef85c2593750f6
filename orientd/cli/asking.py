"""Questions to a person, asked before what cannot be told from a slip of the hand."""

import sys

import click


def sure(what: str, otherwise: str, quiet: bool = False) -> bool:
    """Whether a person at the terminal says yes to `what`; one who says no ends the program.

    Where there is no terminal nobody is asked: who reads it is told the command to run instead. `quiet` leaves standard output
    alone: a question that must be asked, and what comes of it, go to standard error.
    """
    click.echo(what, err=quiet)
    if not (sys.stdin and sys.stdin.isatty()):
        click.echo(f"Nothing was changed, as there is no terminal to ask on. If that is meant:\n  {otherwise}", err=quiet)
        return False
    if not click.confirm("Continue?", err=quiet):
        click.echo("Nothing was changed.", err=quiet)
        raise click.Abort
    return True
