"""The learning side of Tailora: base models, corpora, training, the promotion gate and versioned adapters.

Knows nothing of LSP or of the engine's API; never imports ``tailora``. Importing this package, ``store`` or
``manifest`` takes milliseconds and does not import torch.
"""
