"""The judge of an import: the file itself, executed as it stands; it shares no code with the reader."""
