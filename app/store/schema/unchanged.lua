-- The migration reads, packs, and writes; the scripts that write are sent behind this file. Their arguments are lists,
-- each after its length; `next_list` reads the next one.
local at = 3

local function next_list()
  local size, list = tonumber(ARGV[at]), {}
  for n = 1, size do list[n] = ARGV[at + n] end
  at = at + size + 1
  return list
end

-- Whether a hash is unchanged; `read` has names and values in turn.
local function is_still(hash, read)
  if redis.call('HLEN', hash) ~= #read / 2 then return false end
  for n = 1, #read, 2 do
    if redis.call('HGET', hash, read[n]) ~= read[n + 1] then return false end
  end
  return true
end

local function put(hash, fields)
  for n = 1, #fields, 2 do redis.call('HSET', hash, fields[n], fields[n + 1]) end
end

