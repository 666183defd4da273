"""What the pictures of the README show: a stack that really runs, with jobs of every kind in it."""
