-- Schema 2 to 3, one job or submission: what is long gets a key of its own, packed, and the rest stays in a hash of short
-- values, written anew because a hash does not become small again by itself. Can be repeated.
-- ARGV: prefix, kind of the hash, id, the long value as it was read (all of its fields in turn), the same packed, kind of
-- its key, then the names of the fields that it was made of. Returns 0 where it has changed since it was read.
local prefix, kind, id, read, packed, target = unpack(ARGV, 1, 6)
local hash = prefix .. kind .. ':' .. id
local found = ''
for i = 7, #ARGV do found = found .. (redis.call('HGET', hash, ARGV[i]) or '') end
if found ~= read then return 0 end
redis.call('SET', prefix .. target .. ':' .. id, packed)
redis.call('HDEL', hash, unpack(ARGV, 7))

-- The indexes: a list of names becomes a field each, of the name's first part.
local function by_field(names)
  local values = {}
  for _, name in ipairs(names) do
    local field, value = string.match(name, '^([^:]*):(.*)$')
    values[field] = value
  end
  return values
end

local idx, claim = unpack(redis.call('HMGET', hash, 'idx', 'claim'))
if idx then
  for field, value in pairs(by_field(cjson.decode(idx))) do redis.call('HSET', hash, 'i:' .. field, value) end
  redis.call('HDEL', hash, 'idx')
end
if claim then
  claim = cjson.decode(claim)
  if claim.idx[1] then
    claim.idx = by_field(claim.idx)
    redis.call('HSET', hash, 'claim', cjson.encode(claim))
  end
end
local fields, life = redis.call('HGETALL', hash), redis.call('PTTL', hash)
redis.call('DEL', hash)
for n = 1, #fields, 2 do redis.call('HSET', hash, fields[n], fields[n + 1]) end
if life > 0 and #fields > 0 then redis.call('PEXPIRE', hash, life) end
return 1
