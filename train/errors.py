"""The one family of errors that a user's input, files or machine can cause."""

from __future__ import annotations


class ProjectError(Exception):
    """A mistake that the user can mend.

    The message is one line that names the cause and the remedy; a command line prints it without a
    traceback and exits with status 1.
    """
