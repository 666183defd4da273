-- Takes a failure off the list; the reason stays in the run. Returns 0 if the run is not a failure, or no longer.
-- KEYS[1] the event, KEYS[2] the failures. ARGV: run id, the act (JSON).
local run = read_run(KEYS[1], ARGV[1])
if not run or run.state ~= 'failed' then
  if not run then redis.call('ZREM', KEYS[2], ARGV[1]) end
  return 0
end
run.state = 'dismissed'
write_run(KEYS[1], ARGV[1], run)
add_act(KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
