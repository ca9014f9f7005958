"""``tailora eval methods``: methods of fine-tuning compared on one's own repository, with what they cost.

``compare`` runs a cell for each method and task in a process of its own; a cell trains and asks, and leaves one report
for each seed (``document``, checked by ``record``). ``aggregate`` says what many reports say, and ``page`` shows it.
"""
