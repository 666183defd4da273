-- Ends one try of a run, if that try still holds the lease.
-- KEYS[1] the event, KEYS[2] the schedule, KEYS[3] the failures.
-- ARGV: run id, number of the try, the new state, in how many ms to try again, the try (JSON).
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'running' or run.tries ~= tonumber(ARGV[2]) then return 0 end
local now = now_ms()
run.state, run.try = ARGV[3], ARGV[5]
let_go(KEYS[1], ARGV[1])
if run.state == 'waiting' then
  write_run(KEYS[1], ARGV[1], run)
  redis.call('ZADD', KEYS[2], now + ARGV[4], ARGV[1])
  return 1
end
-- Of one that is done the try says when.
run.ended = run.state ~= 'done' and now or nil
write_run(KEYS[1], ARGV[1], run)
redis.call('ZREM', KEYS[2], ARGV[1])
if run.state == 'failed' then redis.call('ZADD', KEYS[3], now, ARGV[1]) end
return 1
