-- Notes in a job's history that CI was asked about it on behalf of a person, and does not know it.
-- ARGV: prefix, job id, history_max, the rest of the history entry (JSON, packed).
-- Half of a history at most: repeated questions must not push out what changed the job.
local job, record = ARGV[1] .. 'job:' .. ARGV[2], ARGV[1] .. 'record:' .. ARGV[2]
if redis.call('HEXISTS', job, 'version') == 0 then return end
local n = redis.call('HINCRBY', job, 'entries', 1)
if entries_in(record) < tonumber(ARGV[3]) / 2 then
  open_record(record, '')
  redis.call('RPUSH', record, part('n', tostring(n)) .. 'j' .. ARGV[4])
end
