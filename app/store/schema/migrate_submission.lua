-- Schema 2 to 4, one submission: what is long gets a key of its own, packed, and the rest stays in a hash of short values,
-- which is written again, because Redis never converts a hash back to its compact encoding. Can be repeated.
-- ARGV: prefix, id, `labels` and `facts` as they were read, both packed. Returns 0 where they have changed since.
local prefix, id, labels, facts, packed = unpack(ARGV)
local hash = prefix .. 'submission:' .. id
if redis.call('HGET', hash, 'labels') ~= labels or redis.call('HGET', hash, 'facts') ~= facts then return 0 end
redis.call('SET', prefix .. 'request:' .. id, packed)
redis.call('HDEL', hash, 'labels', 'facts')
local fields, life = redis.call('HGETALL', hash), redis.call('PTTL', hash)
redis.call('DEL', hash)
for n = 1, #fields, 2 do redis.call('HSET', hash, fields[n], fields[n + 1]) end
if life > 0 and #fields > 0 then redis.call('PEXPIRE', hash, life) end
return 1
