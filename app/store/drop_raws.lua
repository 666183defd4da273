-- Removes raw payloads of one job. KEYS[1] the job's raw payloads, KEYS[2] the jobs that have some.
-- ARGV: job id, the time of the oldest one that stays (ms), then the entries to remove.
for i = 3, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
if redis.call('HLEN', KEYS[1]) == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('ZADD', KEYS[2], 'XX', ARGV[2], ARGV[1])
end
return #ARGV - 2
