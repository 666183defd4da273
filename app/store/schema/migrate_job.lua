-- Schema 1 to 2, one job: its exact bytes get keys of their own, named in its history; two fields are renamed.
-- ARGV: prefix, job id, then for each body: number of its entry, its name, its life (ms), the bytes.
local prefix, id = ARGV[1], ARGV[2]
local job, history, raw = prefix .. 'job:' .. id, prefix .. 'history:' .. id, prefix .. 'job:' .. id .. ':raw'

local names = {}
for i = 3, #ARGV, 4 do
  names[ARGV[i]] = ARGV[i + 1]
  redis.call('SET', prefix .. 'body:' .. ARGV[i + 1], ARGV[i + 3], 'PX', ARGV[i + 2])
end
for n, line in ipairs(redis.call('LRANGE', history, 0, -1)) do
  local entry = cjson.decode(line)
  local name = names[tostring(entry.entry)]
  if name and not entry.body then
    redis.call('LSET', history, n - 1, string.sub(line, 1, -2) .. ',"body":"' .. name .. '"}')
  end
end

local place, doubt = unpack(redis.call('HMGET', job, 'raw_entry', 'doubt'))
if place then
  local entry, position = string.match(place, '(%d+):(%d+)')
  if names[entry] then redis.call('HSET', job, 'raw', names[entry] .. ':' .. position) end
  redis.call('HDEL', job, 'raw_entry')
end
if doubt == '1' then
  redis.call('HDEL', job, 'doubt')
  redis.call('HSET', job, 'question', 1)
end
-- A job whose id ends like this may have its key under the same name.
if redis.call('HEXISTS', raw, 'version') == 0 then redis.call('DEL', raw) end
return #ARGV
