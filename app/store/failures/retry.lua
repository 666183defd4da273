-- Gives a failure new tries. Returns 0 if the run is not a failure, or no longer.
-- KEYS[1] the event, KEYS[2] its schedule unless its lane has its own, KEYS[3] the failures.
-- ARGV: run id, the act (JSON).
local schedule = schedule_of(KEYS[1], ARGV[1], KEYS[2])
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'failed' then
  if not run then redis.call('ZREM', KEYS[3], ARGV[1]) end
  return 0
end
run.state, run.forgiven, run.ended = 'waiting', run.tries, nil
write_run(KEYS[1], ARGV[1], run)
add_act(KEYS[1], ARGV[1], ARGV[2])
redis.call('HDEL', KEYS[1], field_of(ARGV[1], 'note'))
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZADD', schedule, now_ms(), ARGV[1])
return 1
