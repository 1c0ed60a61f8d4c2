"""Models that somebody else exported (Brevitas, QKeras, PyTorch), brought to integers without changing an action.

file → reader (exact arithmetic) → folding (integer network), and beside it the judge, which runs the file itself and
shares no code with the reader.
"""
