"""What CI requires of a request, and what we advise: rules by subject, and how a broken one is reported."""
