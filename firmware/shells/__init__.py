"""The policy inside a user's system: bus shells around its core, what a program needs to reach it, and their benches.

:class:`Shell` says what one is; :func:`write_shell` writes it; :class:`ShellBackend` answers through its bus.
"""

from hls4rl.firmware.shells.shell import BUSES, Shell, load_shell
from hls4rl.firmware.shells.write import write_shell

__all__ = ["BUSES", "Shell", "load_shell", "write_shell"]
