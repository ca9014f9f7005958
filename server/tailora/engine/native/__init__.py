"""The decoder's own code for a few tokens, in C; torch's operators serve where there is no compiler."""
