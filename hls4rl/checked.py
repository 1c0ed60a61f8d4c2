"""JSON files with a checksum: their last key is the SHA-256 of all the rest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hls4rl.errors import ProjectError
from hls4rl.plain import MAXIMUM_JSON_BYTES

_CHECKSUM = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n}\n\Z')


def write_checked(path: Path, data: Mapping[str, Any], indent: int | None = 1) -> None:
    """Write ``data`` as JSON with a last key ``sha256``; a reader sees the old file or the new one, never half.

    Args:
        indent: None for one line, where nobody reads it.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(with_checksum(json.dumps(data, indent=indent).encode()))
    partial.replace(path)


def with_checksum(content: bytes) -> bytes:
    """The JSON object ``content``, which is not empty, with its checksum as the last key."""
    text = content.rstrip().removesuffix(b"}").rstrip()
    return text + f',\n "sha256": "{hashlib.sha256(text).hexdigest()}"\n}}\n'.encode()


def read_checked(path: Path, remedy: str) -> dict[str, Any]:
    """What :func:`write_checked` wrote to ``path``, without the checksum.

    Raises:
        ProjectError: it's missing, too large, or a byte of it was changed; the message ends in ``remedy``.
    """
    try:
        if path.stat().st_size > MAXIMUM_JSON_BYTES:
            raise ProjectError(f"{path}: larger than {MAXIMUM_JSON_BYTES} bytes; {remedy}")
        content = path.read_bytes()
    except OSError as error:
        raise ProjectError(f"{path}: not readable ({error.strerror}); {remedy}") from error
    found = _CHECKSUM.search(content[-100:])
    text = content[:-len(found[0])] if found else content
    if found is None or hashlib.sha256(text).hexdigest() != found[1].decode():
        raise ProjectError(f"{path}: not the file that was written here (its SHA-256 differs); {remedy}")
    try:
        data: dict[str, Any] = json.loads(text + b"}")
    except (ValueError, RecursionError) as error:  # somebody else's, with a checksum of its own
        raise ProjectError(f"{path}: no JSON object; {remedy}") from error
    return data


def read_if_whole(path: Path) -> dict[str, Any] | None:
    """As :func:`read_checked`, and None where that complains: for what can be worked out anew."""
    try:
        return read_checked(path, "")
    except ProjectError:
        return None
