"""API keys, sign-in codes, and callback URLs that belong to no submission."""
