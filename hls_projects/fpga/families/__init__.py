"""One module for each family of parts; each has a ``FAMILY``, see :class:`hls4rl.hls_projects.fpga.family.Family`."""
