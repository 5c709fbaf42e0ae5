-- Claims the next handler job: due delayed jobs first go to the end of their queues.
--
-- KEYS  1 the worker's claims    2 RQ's suspension    then for each queue, in order of precedence:
--       its list, its scheduled registry
-- ARGV  1 now, seconds since the epoch    2 prefix of job hashes    3 at most this many due jobs at once
-- Returns the job's id, or false.

for at = 3, #KEYS, 2 do
  local due = redis.call('ZRANGEBYSCORE', KEYS[at + 1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[3])
  for _, id in ipairs(due) do
    redis.call('ZREM', KEYS[at + 1], id)
    if redis.call('HGET', ARGV[2] .. id, 'status') == 'scheduled' then
      redis.call('HSET', ARGV[2] .. id, 'status', 'queued')
      redis.call('RPUSH', KEYS[at], id)
    end
  end
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return false
end
for at = 3, #KEYS, 2 do
  local id = redis.call('LPOP', KEYS[at])
  if id then
    redis.call('LPUSH', KEYS[1], id)
    return id
  end
end
return false
