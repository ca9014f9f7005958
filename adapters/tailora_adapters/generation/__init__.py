"""Whole functions from their docstring or a comment: examples to learn from."""
