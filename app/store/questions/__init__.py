"""What CI is to be asked, and how often."""
