"""Whom an answer is for: the media types that a caller accepts, the sites whose scripts may read it."""
