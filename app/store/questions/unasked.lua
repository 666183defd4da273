-- Stores why CI cannot confirm the outputs of a job, unless the job was removed.
-- ARGV: prefix, job id, why.
local job = ARGV[1] .. 'job:' .. ARGV[2]
if redis.call('HEXISTS', job, 'version') == 1 then
  redis.call('HSET', job, 'outputs_unasked', ARGV[3])
  stamp(ARGV[1], member_of(ARGV[2]))
end
