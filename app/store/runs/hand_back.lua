-- Makes runs that were handed out, and never begun, due again at once.
-- KEYS[1] the schedule. ARGV: prefix, then the ids of the runs.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local back = 0
for i = 2, #ARGV do
  local state, tries = unpack(redis.call('HMGET', ARGV[1] .. 'run:' .. ARGV[i], 'state', 'tries'))
  if state == 'waiting' and tries == '0' then
    redis.call('ZADD', KEYS[1], 'XX', 'LT', now, ARGV[i])
    back = back + 1
  end
end
return back
