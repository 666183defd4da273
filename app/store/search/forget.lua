-- Values that no job has any more are not searched for.
-- ARGV: prefix, then for each value: itself, and the key that is there while a job has it. Returns how many are gone.
return forget_values(ARGV[1], 2)
