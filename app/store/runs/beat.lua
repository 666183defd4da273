-- Renews the lease of a try that still runs. Returns 0 if the lease was lost.
-- KEYS[1] the event, KEYS[2] the schedule unless its lane has its own.
-- ARGV: run id, number of the try, for how long the lease holds (ms).
local schedule = schedule_of(KEYS[1], ARGV[1], KEYS[2])
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'running' or run.tries ~= tonumber(ARGV[2]) then return 0 end
local lease = now_ms() + ARGV[3]
hold(KEYS[1], ARGV[1], lease)
redis.call('ZADD', schedule, lease, ARGV[1])
return 1
