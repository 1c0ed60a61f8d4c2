"""Pong's console compiled: the cartridge's program as C++ and the chips around it, equal to ALE picture for picture."""
