"""Reading canonical strings strictly: an error says at which character, and what was expected there."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from nasbench_evs.errors import InvalidArchitecture, shown

T = TypeVar("T")


class Reader:
    """Walks over a canonical string from left to right."""

    def __init__(self, text: str, what: str) -> None:
        if not isinstance(text, str):
            raise InvalidArchitecture(
                f"{shown(text)} is a {type(text).__name__}: expected the canonical string of {what}"
            )
        self.text = text
        self.what = what  # "a seqnas architecture", for messages
        self.position = 0

    def fail(self, expected: str, found: str = "") -> InvalidArchitecture:
        """The error for the current position; by default what was found is the character there."""
        if not found:
            found = repr(self.text[self.position]) if self.position < len(self.text) else "the end"
        text = self.text if len(self.text) <= 200 else self.text[:200] + "..."
        return InvalidArchitecture(
            f"{text!r} is not {self.what}: at character {self.position + 1} expected {expected}, found {found}"
        )

    def take(self, literal: str) -> bool:
        """Step over `literal` if it stands here."""
        if not self.text.startswith(literal, self.position):
            return False
        self.position += len(literal)
        return True

    def expect(self, literal: str, expected: str = "") -> None:
        """Step over `literal`, or fail."""
        if not self.take(literal):
            raise self.fail(expected or repr(literal))

    def one_of(self, literals: Sequence[str], expected: str = "") -> int:
        """Step over the longest of `literals` that stands here; its index."""
        for literal in sorted(literals, key=len, reverse=True):
            if self.take(literal):
                return literals.index(literal)
        raise self.fail(expected or ", ".join(literals[:-1]) + (" or " if len(literals) > 1 else "") + literals[-1])

    def repeat(self, item: Callable[[], T], separator: str) -> list[T]:
        """One item or several with the separator between."""
        items = [item()]
        while self.take(separator):
            items.append(item())
        return items

    def finish(self) -> None:
        """Nothing may be left."""
        if self.position < len(self.text):
            raise self.fail("the end")
