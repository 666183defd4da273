-- Ends one try of a run, if that try still holds the lease.
-- KEYS[1] the event, KEYS[2] the schedule unless its lane has its own, KEYS[3] the failures.
-- ARGV: run id, number of the try, the new state, in how many ms to try again, the try (JSON), RFC 3339 now, for one that
-- has failed the report of its event (JSON) or '', how long the try took (ms), and the bucket of that.
local schedule = schedule_of(KEYS[1], ARGV[1], KEYS[2])
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'running' or run.tries ~= tonumber(ARGV[2]) then return 0 end
local now = now_ms()
run.state, run.try = ARGV[3], ARGV[5]
let_go(KEYS[1], ARGV[1])
count_try(KEYS[1], ARGV[1], run.state == 'waiting' and 'retried' or run.state, ARGV[8], ARGV[9])
if run.state == 'waiting' then
  write_run(KEYS[1], ARGV[1], run)
  redis.call('ZADD', schedule, now + ARGV[4], ARGV[1])
  return 1
end
-- A successful run needs no time of its own: its last try has it.
run.ended = run.state ~= 'done' and now or nil
write_run(KEYS[1], ARGV[1], run)
redis.call('ZREM', schedule, ARGV[1])
if run.state == 'failed' then
  redis.call('ZADD', KEYS[3], now, ARGV[1])
  announce_failure(KEYS[1], ARGV[1], run, cjson.decode(run.try).error, ARGV[6], ARGV[7])
end
return 1
