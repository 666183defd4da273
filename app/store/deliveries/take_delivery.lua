-- Hands out the due deliveries of one endpoint. Each is put off in the same step, so that one caller gets it.
-- A paused endpoint gets none until its pause is over, and then one delivery as a probe.
-- KEYS[1] the endpoint's schedule, KEYS[2] the endpoint's record.
-- ARGV: how many at most, by how many ms they are put off, failures in a row that begin a pause.
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local trouble, not_before = unpack(redis.call('HMGET', KEYS[2], 'trouble', 'not_before'))
if tonumber(not_before or 0) > now then return {} end
local trying = tonumber(trouble or 0) >= tonumber(ARGV[3])
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, trying and 1 or ARGV[1])
for _, id in ipairs(due) do redis.call('ZADD', KEYS[1], now + ARGV[2], id) end
-- No other delivery is sent until the probe has ended.
if trying and #due > 0 then redis.call('HSET', KEYS[2], 'not_before', now + ARGV[2]) end
return due
