"""Networks by their addresses, and the addresses that the service may connect to."""
