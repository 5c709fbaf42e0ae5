-- Ends a lane's claims, all of which are done.
--
-- KEYS  1 the lane's lease    2 its claims    3 its started registry    4 the worker's hash
--       5 the messages that jobs wait behind    6 count of all jobs that ever ended
-- ARGV  1 token    2 prefix of job hashes    3 seconds that the batch took    then the jobs' ids
-- Returns 1; 0 if the lane is another's.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
local hashes, entries = {}, {}
for at = 4, #ARGV do
  hashes[at - 3] = ARGV[2] .. ARGV[at]
  entries[at - 3] = ARGV[at] .. ':lane'
end
redis.call('UNLINK', unpack(hashes))
redis.call('ZREM', KEYS[3], unpack(entries))
redis.call('DEL', KEYS[2])
redis.call('EXISTS', KEYS[5])
redis.call('INCRBY', KEYS[6], #hashes)
redis.call('HINCRBY', KEYS[4], 'successful_job_count', #hashes)
redis.call('HINCRBY', KEYS[4], 'failed_job_count', 0)
redis.call('HINCRBYFLOAT', KEYS[4], 'total_working_time', ARGV[3])
return 1
