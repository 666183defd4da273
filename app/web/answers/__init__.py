"""Content negotiation and CORS: which media types a caller accepts, which sites' scripts may read an answer."""
