"""Comparing methods of fine-tuning: one report for each run (``record``), and what many of them say (``aggregate``)."""
