-- Stores a submission before it is sent, unless the day's budget is spent. One script, so that one wait for the disk or a
-- replica covers it.
-- ARGV: prefix, id, now (ms), in how many ms it is searched for unless CI has answered, '1' if a key of ours signed its token,
-- what was asked (packed) or '' where it is one of the fields, the day, how many jobs it asks for, how many a day may have or '', how long they are counted
-- (ms), then names and values of its fields.
-- Returns {'ok'}, or {'over', jobs of the day before it}: then nothing is stored.
local prefix, id, now, look_in, is_signed, request, day, jobs, most, life = unpack(ARGV, 1, 10)
local spent = prefix .. 'spent:' .. day
-- Sent again, because its answer was lost: it is counted once. This writes something, because a wait for disk or replica
-- waits for the last write of its connection.
if redis.call('EXISTS', prefix .. 'submission:' .. id) == 1 then
  redis.call('PEXPIRE', spent, life)
  return {'ok'}
end
local before = tonumber(redis.call('GET', spent) or 0)
if most ~= '' and before + jobs > tonumber(most) then return {'over', tostring(before)} end
redis.call('HSET', prefix .. 'submission:' .. id, unpack(ARGV, 11))
redis.call('INCRBY', spent, jobs)
redis.call('PEXPIRE', spent, life)
if request ~= '' then redis.call('SET', prefix .. 'request:' .. id, request) end
redis.call('ZADD', prefix .. 'submissions', now, id)
local time = redis.call('TIME')
redis.call('ZADD', prefix .. 'lost', time[1] * 1000 + math.floor(time[2] / 1000) + look_in, id)
if is_signed == '1' then redis.call('ZADD', prefix .. 'open', now, id) end
return {'ok'}
