"""Gymnasium task → trained, quantised policy."""
