"""The proof of concept: a repository measured, cheap candidates tried within a time, a recommendation by stated rules.

``measure`` looks at the repository and the machine, ``plan`` says what is tried next, ``stages`` has it done by the
comparison of methods, ``candidates`` reads what came of it, ``decide`` judges, ``costs`` reckons, ``page`` shows, with
the words of ``texts`` in English or Japanese.
"""
