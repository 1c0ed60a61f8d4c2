"""Programs of the repository itself: faults, reproduction, the supply chain."""
