"""Help pages in which a flag shows no value, since it takes none."""

from typing import Any

from typer.core import TyperCommand, TyperGroup


def _without_value(option: Any) -> Any:
    if option is not None:
        option.metavar = ""
    return option


class Command(TyperCommand):
    """A command whose `--help` looks like the flag that it is."""

    def get_help_option(self, ctx: Any) -> Any:
        return _without_value(super().get_help_option(ctx))


class Group(TyperGroup):
    """The same for the program itself."""

    def get_help_option(self, ctx: Any) -> Any:
        return _without_value(super().get_help_option(ctx))
