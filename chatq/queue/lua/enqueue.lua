-- Accepts one message job, once: running it again changes nothing.
--
-- KEYS  1 job hash              2 the lane's list     3 doorbell
--       4 RQ's set of queues    5 the lane's failed-job registry    6 memory of this client id
-- ARGV  1 job id       2 digest of the content, '' for a job without a client id
--       3 seconds for which the client id is remembered     4 data     5 name of the lane
--       6 time, RFC 3339     7 description
-- Returns 0 queued, 1 a repeat of what was accepted before, 2 other content under the same client id.

local id, digest = ARGV[1], ARGV[2]
local status = redis.call('HGET', KEYS[1], 'status')
local resting = status == 'failed' or status == 'canceled' or status == 'stopped'
local again = status

if digest ~= '' then
  local seen = redis.call('GET', KEYS[6])
  if seen and string.sub(seen, 1, #digest) ~= digest then
    return 2
  end
  -- ':again' marks a message that failed or expired: a repeat queues it once more.
  local done = seen and string.sub(seen, -6) ~= ':again'
  if (done and not resting) or (status and not resting) then
    -- A write, so that waiting for durability on this connection covers the repeat as well.
    redis.call('SET', KEYS[6], digest, 'EX', ARGV[3])
    return 1
  end
  redis.call('SET', KEYS[6], digest, 'EX', ARGV[3])
  again = again or seen
elseif status and not resting then
  -- A write here too: what is sent once more over another connection must not be confirmed unwritten.
  redis.call('HSET', KEYS[1], 'status', status)
  return 1
end

if status then
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[5], id)
end
redis.call('HSET', KEYS[1], 'data', ARGV[4], 'status', 'queued', 'origin', ARGV[5],
  'created_at', ARGV[6], 'enqueued_at', ARGV[6], 'description', ARGV[7])
if again then
  -- As RQ leaves it after a requeue: the worker knows by it that the job failed before.
  redis.call('HSET', KEYS[1], 'exc_info', '')
end
if redis.call('RPUSH', KEYS[2], id) == 1 then
  redis.call('SADD', KEYS[4], KEYS[2])
end
if redis.call('LLEN', KEYS[3]) == 0 then
  redis.call('RPUSH', KEYS[3], '1')
end
return 0
