-- Makes runs that were handed out and never begun due at once.
-- KEYS[1] the schedule. ARGV: prefix, then the ids of the runs.
local now, back = now_ms(), 0
for i = 2, #ARGV do
  local hash = ARGV[1] .. 'runs_of:' .. event_of(ARGV[i])
  local run, schedule = read_run(hash, ARGV[i]), schedule_of(hash, ARGV[i], KEYS[1])
  if run and run.state == 'waiting' and run.tries == 0 then
    redis.call('ZADD', schedule, 'XX', 'LT', now, ARGV[i])
    back = back + 1
  end
end
return back
