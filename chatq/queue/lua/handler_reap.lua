-- Puts the claimed jobs of handler workers that died back at the head of their queues.
--
-- KEYS  1 set of the workers that may hold claims
-- ARGV  1 RQ's prefix    2 chatq's prefix
-- Returns how many jobs were put back.

local count = 0
for _, worker in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. ':worker:' .. worker) == 0 then
    local claims = ARGV[2] .. ':handlers:' .. worker
    for _, id in ipairs(redis.call('LRANGE', claims, 0, -1)) do
      local key = ARGV[1] .. ':job:' .. id
      local job = redis.call('HMGET', key, 'status', 'origin')
      -- RQ calls a job scheduled a moment before it schedules the next attempt.
      local unscheduled = job[1] == 'scheduled' and job[2]
        and not redis.call('ZSCORE', ARGV[1] .. ':scheduled:' .. job[2], id)
      if (job[1] == 'started' or job[1] == 'queued' or unscheduled) and job[2] then
        -- RQ would take the dead execution's entry for a sign that the next one was abandoned.
        local started = ARGV[1] .. ':wip:' .. job[2]
        for _, entry in ipairs(redis.call('ZRANGE', started, 0, -1)) do
          if string.sub(entry, 1, #id + 1) == id .. ':' then
            redis.call('ZREM', started, entry)
          end
        end
        redis.call('HSET', key, 'status', 'queued')
        redis.call('LPUSH', ARGV[1] .. ':queue:' .. job[2], id)
        count = count + 1
      end
    end
    redis.call('DEL', claims)
    redis.call('SREM', KEYS[1], worker)
  end
end
return count
