-- Hands out deliveries of one endpoint whose time has come, each put off at once so that it belongs to one taker.
-- An endpoint that keeps failing is left alone until its pause is over; then it gets one delivery, to see.
-- KEYS[1] the endpoint's schedule, KEYS[2] what is known of the endpoint.
-- ARGV: now, how many at most, the time they are put off to, failures in a row that begin a pause.
local now, count = tonumber(ARGV[1]), tonumber(ARGV[2])
local failures, not_before = unpack(redis.call('HMGET', KEYS[2], 'failures', 'not_before'))
if tonumber(not_before or 0) > now then return {} end
local trying = tonumber(failures or 0) >= tonumber(ARGV[4])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, trying and 1 or count)
for _, id in ipairs(due) do redis.call('ZADD', KEYS[1], ARGV[3], id) end
-- Until the one that was sent to see is back, nothing else goes there.
if trying and #due > 0 then redis.call('HSET', KEYS[2], 'not_before', ARGV[3]) end
return due
