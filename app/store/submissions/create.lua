-- Stores a submission before it is sent, in one step that one wait for a disk or a replica covers.
-- ARGV: prefix, id, now (ms), when it is searched for unless CI has answered (ms), '1' if a key of ours signed its token,
-- what was asked (packed), then names and values of its fields.
local prefix, id, now, look_at, is_signed, request = unpack(ARGV, 1, 6)
redis.call('HSET', prefix .. 'submission:' .. id, unpack(ARGV, 7))
redis.call('SET', prefix .. 'request:' .. id, request)
redis.call('ZADD', prefix .. 'submissions', now, id)
redis.call('ZADD', prefix .. 'lost', look_at, id)
if is_signed == '1' then redis.call('ZADD', prefix .. 'open', now, id) end
return 1
