-- Measures how much waits in all lanes.
--
-- KEYS  1 count of all jobs that ever ended
-- ARGV  1 number of lanes    2 RQ's prefix
-- Returns {jobs waiting, since when the oldest waits (RFC 3339) or '', jobs that ever ended}.

local depth, oldest = 0, ''
for lane = 0, tonumber(ARGV[1]) - 1 do
  local list = ARGV[2] .. ':queue:messages:' .. lane
  local length = redis.call('LLEN', list)
  if length > 0 then
    depth = depth + length
    -- Not when it was made: it may have been delayed, or have failed and been requeued, since.
    local queued = redis.call('HGET', ARGV[2] .. ':job:' .. redis.call('LINDEX', list, 0), 'enqueued_at')
    if queued and queued ~= '' and (oldest == '' or queued < oldest) then
      oldest = queued
    end
  end
end
return {depth, oldest, tonumber(redis.call('GET', KEYS[1]) or '0') or 0}
