"""Learning to repair: what a repository's own past and bugs put into its code show about mending it.

``hole`` is the prompt, shared with the repair that uses what was learned; ``fixes`` reads history, ``lessons`` makes
training examples, and ``notice`` asks checkers what they say of the bugs in them.
"""
