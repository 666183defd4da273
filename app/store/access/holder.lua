-- The API key on whose behalf a script reads: for an unknown key the script ends here. Sent in front of such scripts.
-- ARGV[1] prefix, ARGV[2] the digest of a key, or '' for a reader within the service. The answers of these scripts begin
-- with the record of the key, '' for a reader within the service; for an unknown key they are empty.
local holder = ARGV[2] == '' and '' or redis.call('HGET', ARGV[1] .. 'keys', ARGV[2])
if not holder then return {false} end

