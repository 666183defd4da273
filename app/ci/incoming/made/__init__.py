"""What a job made: files, what CI says of them, and what the job found out."""
