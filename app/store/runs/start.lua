-- Leases one run for one try. Starts are counted, not exceptions, so that a try that kills its process counts too.
-- Leases are measured by the clock of Redis alone: the clocks of workers may differ.
-- KEYS[1] the event, KEYS[2] the schedule unless its lane has its own, KEYS[3] the failures.
-- ARGV: run id, for how long the lease holds (ms), tries allowed, worker, RFC 3339 now, who holds the lease (unique for each
-- request), and '' or, in a second call, 'fail' and the report of its event (JSON, or '').
-- Returns the number of this try; 0 if the run is not to be started; -1 if it has just become a failure; -2 if it has to
-- become one: the caller reads the report, which few starts need, and calls again with 'fail'.
local schedule, lane = schedule_of(KEYS[1], ARGV[1], KEYS[2])
local prefix = string.gsub(KEYS[1], 'runs_of:[^:]*$', '')
local run, now = read_run(KEYS[1], ARGV[1]), now_ms()
if not run then
  -- A process of an earlier release may have planned it: the relay migrates it, and it is due again.
  local earlier = string.gsub(KEYS[1], 'runs_of:[^:]*$', '') .. 'run:' .. ARGV[1]
  if redis.call('EXISTS', earlier) == 0 then redis.call('ZREM', schedule, ARGV[1]) end
  return 0
end
if run.state ~= 'waiting' and run.state ~= 'running' then
  redis.call('ZREM', schedule, ARGV[1])
  return 0
end
if run.state == 'running' then
  -- The same request again, because its answer was lost.
  if is_held_by(KEYS[1], ARGV[1], ARGV[6]) then return run.tries end
  if lease_of(KEYS[1], ARGV[1]) > now then return 0 end
  local broken = cjson.decode(run.try)
  -- Earlier releases wrote an object.
  if not broken[1] then broken = {broken.started_at, broken.worker} end
  run.try = cjson.encode({n = run.tries, started_at = broken[1], worker = broken[2], ended_at = ARGV[5],
    error = 'the worker died, or stopped answering, during this try'})
  if ARGV[7] ~= 'fail' then count_try(KEYS[1], ARGV[1], 'died') end
end
if run.tries - run.forgiven >= tonumber(ARGV[3]) then
  if ARGV[7] ~= 'fail' then return -2 end
  count_try(KEYS[1], ARGV[1], 'failed')
  run.state, run.ended = 'failed', now
  let_go(KEYS[1], ARGV[1])
  write_run(KEYS[1], ARGV[1], run)
  redis.call('ZREM', schedule, ARGV[1])
  redis.call('ZADD', KEYS[3], now, ARGV[1])
  local has_error, last = pcall(cjson.decode, run.try)
  announce_failure(KEYS[1], ARGV[1], run, has_error and last.error, ARGV[5], ARGV[8])
  return -1
end
-- Its lane was paused after it was handed out: it is due again when the lane is resumed. Deliveries and look-ups have no
-- lane.
local has_lane = schedule ~= KEYS[2] or KEYS[2] == prefix .. 'runs'
if has_lane and redis.call('HEXISTS', prefix .. 'lanes', 'paused:' .. lane) == 1 then
  redis.call('ZADD', schedule, now, ARGV[1])
  return 0
end
if run.tries > 0 then redis.call('HSET', KEYS[1], field_of(ARGV[1], 'try:' .. run.tries), run.try) end
run.state, run.tries, run.try = 'running', run.tries + 1, cjson.encode({now, ARGV[4]})
write_run(KEYS[1], ARGV[1], run)
hold(KEYS[1], ARGV[1], now + ARGV[2], ARGV[6])
redis.call('ZADD', schedule, now + ARGV[2], ARGV[1])
return run.tries
