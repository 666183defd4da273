-- Replaces the value ARGV[1] by ARGV[2] for ARGV[3] seconds; with an empty ARGV[2] removes it. Returns 0 if the value
-- is not ARGV[1].
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
