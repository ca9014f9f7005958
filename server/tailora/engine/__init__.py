"""One process per user that holds the model: its API, generation, KV reuse and the training schedule."""
