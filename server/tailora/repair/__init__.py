"""Verified repair: a diagnostic or a failing test -> candidate edits -> those that were tried and hold.

A pipeline with one module a stage: ``localize`` (which lines are suspect; for failing tests ``spectrum``), ``propose``
(what the model writes in their place), ``validate`` with ``checkers`` and ``tests`` (what holds), ``rank`` (what is
shown first), and ``edits`` (the smallest edit of the user's document). Knows nothing of LSP; the model is behind
``propose.Model``.
"""
