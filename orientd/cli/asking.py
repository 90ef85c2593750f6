"""Questions to a person, asked before anything that may be a slip of the hand."""

import sys

import click


def sure(what: str, otherwise: str, quiet: bool = False) -> bool:
    """Whether a person at the terminal says yes to `what`; one who says no ends the program.

    Without a terminal nobody is asked: a message names the command to run instead. `quiet` leaves standard output alone: the
    question and its result go to standard error.
    """
    click.echo(what, err=quiet)
    if not (sys.stdin and sys.stdin.isatty()):
        click.echo(f"Nothing was changed, as there is no terminal to ask on. If that is meant:\n  {otherwise}", err=quiet)
        return False
    if not click.confirm("Continue?", err=quiet):
        click.echo("Nothing was changed.", err=quiet)
        raise click.Abort
    return True
