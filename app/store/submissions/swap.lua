-- Puts ARGV[2] in the place of ARGV[1], for ARGV[3] seconds; empty: takes it away. 0 when something else is there.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
