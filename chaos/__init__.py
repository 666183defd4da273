"""``make chaos``: everything is killed, stalled and starved while callbacks come in; then nothing may be missing.

``python -m chaos --callbacks 20000 --seconds 300 --seed 1`` says what it does, and ends with 1 if anything was lost.
"""
