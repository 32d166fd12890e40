"""`python -m streamnorm` is `streamnorm`.

The commands that work on files and pipes start without the service, whose imports take most of a second.
"""

import sys


def main() -> None:
    """Run the command line."""
    if sys.argv[1:2] == ["backfill"]:
        from streamnorm.backfill.command import backfill_files  # noqa: PLC0415

        _run(backfill_files)
    elif sys.argv[1:2] == ["filter"]:
        from streamnorm.filtering.command import filter_lines  # noqa: PLC0415

        _run(filter_lines)
    else:
        from streamnorm.cli import main as run  # noqa: PLC0415

        run()


def _run(command: object) -> None:
    """Run one command alone."""
    import typer  # noqa: PLC0415

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(sys.argv[1])(command)  # type: ignore[type-var]
    app(sys.argv[2:], prog_name=f"streamnorm {sys.argv[1]}")


if __name__ == "__main__":
    main()
