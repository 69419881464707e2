"""Peers that answer a little late, by chance: what a test takes for given of
an order that nobody promised shows itself.

POSTERN_JITTER is the longest hesitation in seconds; without it there is none.
"""
import os
import random
import time

LONGEST = float(os.environ.get("POSTERN_JITTER", "0"))


def hesitate():
    if LONGEST:
        time.sleep(random.uniform(0, LONGEST))
