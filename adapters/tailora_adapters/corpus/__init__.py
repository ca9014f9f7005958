"""A repository to training examples: selection, secrets, held-out split, spans, replay."""
