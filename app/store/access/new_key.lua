-- Stores a new API key. KEYS[1] all API keys. ARGV: its digest, its record (JSON), its name, 1 to replace a key of that
-- name. Returns 0 if the name is taken.
-- Sent again, because its answer was lost.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return 1 end
local same = {}
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  if cjson.decode(kept[i + 1]).name == ARGV[3] then same[#same + 1] = kept[i] end
end
if #same > 0 and ARGV[4] ~= '1' then return 0 end
for _, digest in ipairs(same) do redis.call('HDEL', KEYS[1], digest) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
