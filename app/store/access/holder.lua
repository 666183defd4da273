-- For whom a script reads: it goes no further for an API key that is not known. Sent in front of such scripts.
-- ARGV[1] prefix, ARGV[2] the digest of a key, or '' for a reader within the service. Their answers begin with what is
-- kept of the key, '' for such a reader, nothing for an unknown key.
local holder = ARGV[2] == '' and '' or redis.call('HGET', ARGV[1] .. 'keys', ARGV[2])
if not holder then return {false} end

