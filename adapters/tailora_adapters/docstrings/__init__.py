"""Docstrings: how a repository writes them, whether they agree with their functions, and examples to learn from."""
