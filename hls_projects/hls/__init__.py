"""The C++ flow: the hls4ml project, its C-simulation, and the vendor's tool."""
