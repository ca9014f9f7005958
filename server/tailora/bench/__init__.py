"""Benchmarks of what a person who types waits for. Measures what ships: the real language server, the real engine.

Knows nothing of how either works inside; starts its own, in a home of its own.
"""
