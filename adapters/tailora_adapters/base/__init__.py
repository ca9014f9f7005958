"""The base model: catalogue, fetch, verify, convert, quantize, load, tokenizer, FIM format and prompt.

Knows nothing of adapters, projects or editors. Importing this package does not import torch.
"""
