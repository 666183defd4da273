"""What everything else stands on: tokens, networks, time, logs. Knows nothing of Flask, Redis or CI."""
