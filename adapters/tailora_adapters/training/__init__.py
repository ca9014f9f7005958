"""The training loop, the worker process, and the gate that decides what may serve.

Knows nothing of LSP or of the engine's API.
"""
