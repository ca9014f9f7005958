"""The language server: the protocol and nothing else, one module per feature. Imports no torch."""
