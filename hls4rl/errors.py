"""The one family of errors that a user's input, files or machine can cause."""

from __future__ import annotations

LONGEST = 1000


LOG_BYTES = 1 << 20
"""Of a failed tool's log, as much is kept from its end."""


class ProjectError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the cause and the remedy; a command line prints it without a
    traceback and exits with status 1. What a message quotes of a stranger's file may have lines and no end: it is
    brought to one line, and loses its middle beyond :data:`LONGEST` characters.
    """

    def __init__(self, message: str) -> None:
        line = " ".join(message.splitlines())
        if len(line) > LONGEST:
            line = f"{line[:LONGEST // 2]} … {line[3 - LONGEST // 2:]}"
        super().__init__(line)


class ToolError(ProjectError):
    """A program that we call has failed; what it was to make keeps what it said."""

    def __init__(self, message: str, log: str) -> None:
        super().__init__(message)
        self.log = log[-LOG_BYTES:]

    def kept(self, place: object) -> ToolError:
        """The same, saying that the log lies in ``place``."""
        return ToolError(f"{self}; what it said is in {place}", self.log)
