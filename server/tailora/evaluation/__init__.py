"""Measuring what Tailora writes: benchmarks whose figures the documentation quotes.

Model output is only ever run by ``sandbox``.
"""
