-- Replaces the value ARGV[1] by ARGV[2] for ARGV[3] seconds; with an empty ARGV[2] removes it. Returns 0 if the value
-- is not ARGV[1]. Sent again, because its answer was lost, it returns 1 again.
local kept = redis.call('GET', KEYS[1])
if kept == ARGV[2] then return 1 end
if kept ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
