-- Ends a lane's claims: what is done disappears, what failed rests, what is retried waits for its time.
--
-- KEYS  1 lease    2 claims    3 started registry    4 failed registry    5 scheduled registry
--       6 job hashes, prefix   7 memory of client ids, prefix   8 the worker's RQ hash
--       9 deferred registry    10 the messages that jobs wait behind    11 the lane's list
--       12 count of all jobs that ever ended    13 RQ's streams of results, prefix    14 the lane's last finish
-- ARGV  1 token    2 now, RFC 3339    3 seconds that this batch took    4 name of this finish
--       5 how many jobs are done
--       then the ids of the done jobs, then for each other job six: id, fate, and
--       'failed': traceback (as RQ keeps it), second until which it is kept, id of its message or ''
--       'retry':  traceback, second at which it is due, attempts so far
--       'behind': '', now in seconds, id of the message behind which it waits
--       'gone':   '', '', id of its message or '' (it expired: a repeat may queue it again)
--       and last the traceback once more, as RQ keeps it with a result
-- Returns 1; 0 if the lane is another worker's by now: then nothing was changed.

--@include behind
--@include although_full

local GONE_SECONDS = 60
local RQ_FAILED = 2 -- rq.results.Result.Type

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end

-- Sent once more because its answer was lost, this meets the claims, and the new jobs, that the first time was
-- followed by.
if redis.call('GET', KEYS[14]) == ARGV[4] then
  return 1
end
begin_although_full(KEYS[14])
redis.call('SET', KEYS[14], ARGV[4], 'EX', 3600)

local function add_result(id, trace)
  local worker = string.match(KEYS[8], '[^:]*$')
  redis.call('XADD', KEYS[13] .. id, 'MAXLEN', 10, '*', 'type', RQ_FAILED, 'worker_name', worker, 'exc_string', trace)
end

local function remember_again(message)
  if message ~= '' then
    local key = KEYS[7] .. message
    local seen = redis.call('GET', key)
    if seen and string.sub(seen, -6) ~= ':again' then
      redis.call('SET', key, seen .. ':again', 'KEEPTTL')
    end
  end
end

local done = tonumber(ARGV[5])
local first, last = 6, 5 + done
for at = first, last, 1000 do
  local hashes, executions = {}, {}
  for i = at, math.min(at + 999, last) do
    hashes[#hashes + 1] = KEYS[6] .. ARGV[i]
    hashes[#hashes + 1] = KEYS[13] .. ARGV[i]
    executions[#executions + 1] = ARGV[i] .. ':lane'
  end
  redis.call('UNLINK', unpack(hashes))
  redis.call('ZREM', KEYS[3], unpack(executions))
end

local ended, failures = done, 0
local over = {}
for at = last + 1, #ARGV, 6 do
  local id, fate, trace, when, extra = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local key = KEYS[6] .. id
  redis.call('ZREM', KEYS[3], id .. ':lane')
  if fate == 'gone' then
    ended = ended + 1
    -- Kept for a moment, so that whoever waits for it learns that it was not done.
    redis.call('HSET', key, 'status', 'canceled', 'exc_info', trace, 'ended_at', ARGV[2])
    redis.call('EXPIRE', key, GONE_SECONDS)
    add_result(id, ARGV[at + 5])
    redis.call('EXPIRE', KEYS[13] .. id, GONE_SECONDS)
    remember_again(extra)
    over[#over + 1] = id
  elseif redis.call('EXISTS', key) == 1 then
    if fate == 'failed' then
      ended, failures = ended + 1, failures + 1
      -- Whoever requeues it gives it all its attempts again.
      redis.call('HSET', key, 'status', 'failed', 'exc_info', trace, 'ended_at', ARGV[2], 'number_of_retries', 0)
      redis.call('ZADD', KEYS[4], when, id)
      redis.call('EXPIREAT', key, math.floor(tonumber(when)))
      add_result(id, ARGV[at + 5])
      redis.call('EXPIREAT', KEYS[13] .. id, math.floor(tonumber(when)))
      remember_again(extra)
      over[#over + 1] = id
    elseif fate == 'retry' then
      redis.call('HSET', key, 'status', 'scheduled', 'exc_info', trace, 'number_of_retries', extra)
      redis.call('ZADD', KEYS[5], when, id)
    else
      redis.call('HSET', key, 'status', 'deferred')
      redis.call('ZADD', KEYS[9], when, id)
      redis.call('SADD', KEYS[10], extra)
      redis.call('RPUSH', KEYS[10] .. ':' .. extra, id)
    end
  end
end

-- They are the first of the claims, and mostly in order.
local claims = redis.call('LRANGE', KEYS[2], 0, done - 1)
local in_order = 0
while in_order < done and claims[in_order + 1] == ARGV[first + in_order] do
  in_order = in_order + 1
end
redis.call('LTRIM', KEYS[2], in_order, -1)
for i = first + in_order, last do
  redis.call('LREM', KEYS[2], 1, ARGV[i])
end
for at = last + 1, #ARGV, 6 do
  redis.call('LREM', KEYS[2], 1, ARGV[at])
end

if redis.call('EXISTS', KEYS[10]) == 1 then
  for i = first, last do
    release_behind(KEYS[10], ARGV[i], KEYS[6], KEYS[9], KEYS[11])
  end
  for _, id in ipairs(over) do
    release_behind(KEYS[10], id, KEYS[6], KEYS[9], KEYS[11])
  end
end

redis.call('INCRBY', KEYS[12], ended)
if redis.call('EXISTS', KEYS[8]) == 1 then
  redis.call('HINCRBY', KEYS[8], 'successful_job_count', done)
  redis.call('HINCRBY', KEYS[8], 'failed_job_count', failures)
  redis.call('HINCRBYFLOAT', KEYS[8], 'total_working_time', ARGV[3])
end
return 1
