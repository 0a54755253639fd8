"""The command line. Nothing here imports JAX before a command runs."""

import sys
from collections.abc import Sequence

from latens.errors import LatensError


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 converged, 1 fitted but not converged, 2 bad input."""
    import click

    from latens.cli import commands, rows, shared

    assert commands  # which join the group
    assert rows
    try:
        line = ["latens", *map(str, sys.argv[1:] if arguments is None else arguments)]
        code = shared.latens.main(arguments, prog_name="latens", standalone_mode=False, obj=line)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Abort:
        click.echo("latens: interrupted before there was anything to show", err=True)
        sys.exit(1)
    except LatensError as error:
        click.echo(f"latens: {error}", err=True)
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)
