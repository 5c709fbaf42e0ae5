-- Shared: jobs about a message that is being retried wait behind it, in a list of their own.

-- Puts the jobs that wait behind `message` at the head of their lane, in order.
local function release_behind(waited, message, job, deferred, queue)
  if redis.call('SREM', waited, message) == 0 then
    return
  end
  local ids = redis.call('LRANGE', waited .. ':' .. message, 0, -1)
  for at = #ids, 1, -1 do
    local id = ids[at]
    redis.call('ZREM', deferred, id)
    if redis.call('HGET', job .. id, 'status') == 'deferred' then
      redis.call('HSET', job .. id, 'status', 'queued')
      redis.call('LPUSH', queue, id)
    end
  end
  redis.call('DEL', waited .. ':' .. message)
end
