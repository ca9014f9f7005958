"""Pages and figures that stand by themselves: one file each, no network, readable on paper, in the dark and on a phone.

Knows nothing of what is shown. ``markup`` builds elements (and so escapes all text), ``shell`` makes the file of them,
``tables`` those that sort, ``scatter`` and ``lines`` charts, of which ``svg`` has what they share.
"""
