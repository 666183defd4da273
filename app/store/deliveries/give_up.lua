-- Makes a failure of a waiting run that will not be tried again.
-- KEYS[1] the event, KEYS[2] the run's schedule, KEYS[3] the failures. ARGV: run id, why, RFC 3339 now, the report of its
-- event (JSON) or ''.
redis.call('ZREM', KEYS[2], ARGV[1])
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'waiting' then return 0 end
run.state, run.ended = 'failed', now_ms()
write_run(KEYS[1], ARGV[1], run)
redis.call('HSET', KEYS[1], field_of(ARGV[1], 'note'), ARGV[2])
redis.call('ZADD', KEYS[3], run.ended, ARGV[1])
announce_failure(KEYS[1], ARGV[1], run, ARGV[2], ARGV[3], ARGV[4])
return 1
