-- For the scripts that accept message jobs, whose KEYS and ARGV begin alike.
--
-- KEYS  1 doorbell    2 RQ's set of queues
-- ARGV  1 RQ's prefix    2 prefix of the memory of client ids    3 seconds for which a client id is remembered

-- Queues a job, once. ``digest`` is that of its content ('' for a job without a client id); ``may``, if it is given, is
-- asked whether what is to be queued, and is no repeat, may be.
-- Returns 0 queued, 1 a repeat of what was accepted before, 2 other content under the same client id, 3 it may not be.
local function accept(id, digest, data, lane, created_at, description, may)
  local key, seen_key = ARGV[1] .. ':job:' .. id, ARGV[2] .. id
  local status = redis.call('HGET', key, 'status')
  local resting = status == 'failed' or status == 'canceled' or status == 'stopped'
  local again = status

  if digest ~= '' then
    local seen = redis.call('GET', seen_key)
    if seen and string.sub(seen, 1, #digest) ~= digest then
      return 2
    end
    -- ':again' marks a message that failed or expired: a repeat queues it once more.
    local done = seen and string.sub(seen, -6) ~= ':again'
    local repeated = (done or status) and not resting
    if may and not repeated and not may() then
      return 3
    end
    -- In any case a write, so that waiting for durability on this connection covers a repeat as well.
    redis.call('SET', seen_key, digest, 'EX', ARGV[3])
    if repeated then
      return 1
    end
    again = again or seen
  elseif status and not resting then
    -- A write here too: what is sent once more over another connection must not be confirmed unwritten.
    redis.call('HSET', key, 'status', status)
    return 1
  elseif may and not may() then
    return 3
  end

  if status then
    redis.call('DEL', key)
    redis.call('ZREM', ARGV[1] .. ':failed:' .. lane, id)
  end
  redis.call('HSET', key, 'data', data, 'status', 'queued', 'origin', lane,
    'created_at', created_at, 'enqueued_at', created_at, 'description', description)
  if again then
    -- As RQ leaves it after a requeue: the worker knows by it that the job failed before.
    redis.call('HSET', key, 'exc_info', '')
  end
  local list = ARGV[1] .. ':queue:' .. lane
  if redis.call('RPUSH', list, id) == 1 then
    redis.call('SADD', KEYS[2], list)
  end
  return 0
end
