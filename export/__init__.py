"""Trained policy → QONNX → plain ONNX, each checked: the same integers, or an error.

:func:`export.writer.export_policy` writes both files, :func:`export.graph.read_network` reads the graph
back as integers, and :mod:`export.qonnx_backend` and :mod:`export.onnxruntime_backend` run them.
"""
