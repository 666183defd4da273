-- Claims one run for one try. Starts are counted, not exceptions: a run that kills its process counts too.
-- Claims are measured by the clock of this server alone: those of the workers may differ.
-- KEYS[1] the run, KEYS[2] the schedule, KEYS[3] the failures.
-- ARGV: run id, for how long the claim holds (ms), tries allowed, worker, RFC 3339 now.
-- Returns the number of this try; 0 if the run is not to be started; -1 if it has just become a failure.
local state, tries, forgiven = unpack(redis.call('HMGET', KEYS[1], 'state', 'tries', 'forgiven'))
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
if not state or (state ~= 'waiting' and state ~= 'running') then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return 0
end
tries = tonumber(tries)
if state == 'running' then
  local held_until = tonumber(redis.call('HGET', KEYS[1], 'until') or 0)
  if held_until > now then return 0 end
  local broken = cjson.decode(redis.call('HGET', KEYS[1], 'try:' .. tries))
  -- Earlier releases wrote an object.
  if broken[1] then broken = {n = tries, started_at = broken[1], worker = broken[2]} end
  broken.ended_at, broken.error = ARGV[5], 'the worker died, or stopped answering, during this try'
  redis.call('HSET', KEYS[1], 'try:' .. tries, cjson.encode(broken))
end
if tries - tonumber(forgiven or 0) >= tonumber(ARGV[3]) then
  redis.call('HSET', KEYS[1], 'state', 'failed', 'ended', now)
  redis.call('HDEL', KEYS[1], 'until')
  redis.call('ZREM', KEYS[2], ARGV[1])
  redis.call('ZADD', KEYS[3], now, ARGV[1])
  return -1
end
tries = tries + 1
redis.call('HSET', KEYS[1], 'state', 'running', 'tries', tries, 'until', now + ARGV[2],
  'try:' .. tries, cjson.encode({ARGV[5], ARGV[4]}))
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[1])
return tries
