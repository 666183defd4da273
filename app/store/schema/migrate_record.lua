-- Schemas 2 and 3 to 4, one job: its report and history become its record, and its hash gets short values. Can be repeated:
-- entries that an earlier release has added to the history since are moved too.
-- ARGV: prefix, job id, then lists: the id as a member of sorted sets; the hash as it was read; history, record and report as they were read; the hash as it is to
-- be; the record as it is to be; the indexes that it stood in, and those that it stands in now (keys without prefix).
-- Returns 0 if anything has changed since it was read.
local prefix, id = ARGV[1], ARGV[2]
local job, history, record = prefix .. 'job:' .. id, prefix .. 'history:' .. id, prefix .. 'record:' .. id
local report = prefix .. 'report:' .. id
local member = next_list()[1]
local was, was_history, was_record, was_report = next_list(), next_list(), next_list(), next_list()
local hash, kept, left, entered = next_list(), next_list(), next_list(), next_list()
if not is_still(job, was) or (redis.call('GET', report) or nil) ~= was_report[1] then return 0 end
if redis.call('LLEN', history) ~= #was_history or redis.call('LLEN', record) ~= #was_record then return 0 end

redis.call('DEL', job, history, record, report)
put(job, hash)
for _, each in ipairs(kept) do redis.call('RPUSH', record, each) end
for _, index in ipairs(left) do redis.call('ZREM', prefix .. index, id) end
for _, name in ipairs({'jobs', 'touched'}) do
  local score = redis.call('ZSCORE', prefix .. name, id)
  redis.call('ZREM', prefix .. name, id)
  if score then redis.call('ZADD', prefix .. name, score, member) end
end
local created = redis.call('HGET', job, 'created')
for _, index in ipairs(entered) do redis.call('ZADD', prefix .. index, created, member) end
return 1
