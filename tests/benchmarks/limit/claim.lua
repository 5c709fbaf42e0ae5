-- Claims a lane's first jobs.
--
-- KEYS  1 the lane's list    2 its claims    3 its started registry    4 its lease
-- ARGV  1 token    2 lease in ms    3 how many jobs at most    4 a second, a year ahead    5 now, RFC 3339
--       6 worker's name    7 prefix of job hashes
-- Returns the jobs, each {id, data, created_at}.

local ids = redis.call('LPOP', KEYS[1], ARGV[3])
if not ids or #ids == 0 then
  redis.call('DEL', KEYS[4])
  return {}
end
redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[2])
local jobs, entries = {}, {}
for at, id in ipairs(ids) do
  local key = ARGV[7] .. id
  local job = redis.call('HMGET', key, 'status', 'data', 'created_at', 'number_of_retries', 'meta')
  redis.call('HSET', key, 'status', 'started', 'started_at', ARGV[5], 'worker_name', ARGV[6])
  redis.call('PERSIST', key)
  entries[2 * at - 1] = ARGV[4]
  entries[2 * at] = id .. ':lane'
  jobs[at] = {id, job[2], job[3]}
end
redis.call('RPUSH', KEYS[2], unpack(ids))
redis.call('ZADD', KEYS[3], unpack(entries))
return jobs
