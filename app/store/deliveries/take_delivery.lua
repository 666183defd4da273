-- Hands out deliveries of one endpoint whose time has come, each put off at once so that it belongs to one taker.
-- An endpoint that is in trouble is left alone until its pause is over; then it gets one delivery, to see.
-- KEYS[1] the endpoint's schedule, KEYS[2] what is known of the endpoint.
-- ARGV: how many at most, by how many ms they are put off, troubles in a row that begin a pause.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local trouble, not_before = unpack(redis.call('HMGET', KEYS[2], 'trouble', 'not_before'))
if tonumber(not_before or 0) > now then return {} end
local trying = tonumber(trouble or 0) >= tonumber(ARGV[3])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, trying and 1 or ARGV[1])
for _, id in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], id) end
-- Until the one that was sent to see is back, nothing else goes there.
if trying and #due > 0 then redis.call('HSET', KEYS[2], 'not_before', now + ARGV[2]) end
return due
