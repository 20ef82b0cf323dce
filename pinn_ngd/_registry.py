"""Names that the package, its users and installed distributions give to things."""

import importlib.metadata
import warnings
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._names import choose, is_again

T = TypeVar("T")


class Registry(dict[str, T], Generic[T]):
    """A dictionary from names to entries, which installed distributions can extend.

    `what` says in errors what an entry is, such as "optimizer". A distribution extends the registry
    by entry points of the group `group`: `plug_in(name, object)` is called with the name and the
    loaded object of each. They are loaded when somebody asks for a name that is not known or for
    the list of names, and not before, so that an import of the package stays fast.
    """

    def __init__(self, what: str, group: str, plug_in: Callable[[str, Any], None]):
        super().__init__()
        self.what, self.group, self.plug_in = what, group, plug_in
        self.is_complete = False

    def add(self, name: str, entry: T, maker: Callable[[T], Any]) -> None:
        """Enter a name.

        `maker(entry)` is the function or class behind an entry. A file that is executed again may
        enter its own again; raises ValueError for a name that anything else has.
        """
        if name in self and not is_again(maker(self[name]), maker(entry)):
            msg = f"the name {name!r} is taken by another {self.what}: choose a new one."
            raise ValueError(msg)
        self[name] = entry

    def find(self, name: Any) -> T:
        """The entry of that name; raises ValueError for an unknown name, with the known ones."""
        is_known = isinstance(name, str) and name in self
        return choose(name, self if is_known else self.complete(), self.what)

    def complete(self) -> "Registry[T]":
        """The registry itself, after the entry points of installed distributions are loaded.

        An entry point that cannot be loaded is a warning, which names its distribution.
        """
        if not self.is_complete:
            self.is_complete = True
            for point in importlib.metadata.entry_points(group=self.group):
                self._load(point)
        return self

    def _load(self, point: importlib.metadata.EntryPoint) -> None:
        try:
            self.plug_in(point.name, point.load())
        except (Exception, SystemExit) as error:  # whatever the code of a stranger raises
            owner = "unknown" if point.dist is None else repr(point.dist.name)
            reason = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(".: ")
            warnings.warn(
                f"the {self.what} {point.name!r} of the distribution {owner} cannot be used"
                f" ({reason}): update or uninstall that distribution.",
                UserWarning,
                stacklevel=2,
            )
