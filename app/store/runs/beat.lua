-- Prolongs the lease of a try that still runs. Returns 0 where the lease was lost.
-- KEYS[1] the event, KEYS[2] the schedule. ARGV: run id, number of the try, for how long the lease holds (ms).
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'running' or run.tries ~= tonumber(ARGV[2]) then return 0 end
run.lease = now_ms() + ARGV[3]
write_run(KEYS[1], ARGV[1], run)
redis.call('ZADD', KEYS[2], run.lease, ARGV[1])
return 1
