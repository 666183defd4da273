"""API keys and callback URLs that were made by hand."""
