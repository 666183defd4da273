"""``make chaos``: processes are killed, stalled and starved while callbacks arrive; afterwards nothing may be missing.

``python -m chaos --callbacks 20000 --seconds 300 --seed 1`` prints a report; the exit code is 1 if anything was lost.
"""
