-- Puts made-up message jobs into a lane, as the edge does.
--
-- KEYS  1 the lane's list    2 prefix of job hashes
-- ARGV  1 how many    2 number of the first    3 data    4 time, RFC 3339    5 name of the lane
-- Returns how many the lane has.

local ids = {}
for number = ARGV[2], ARGV[2] + ARGV[1] - 1 do
  local id = string.format('01a20baf-0000-7000-8000-%012x', number)
  redis.call('HSET', KEYS[2] .. id, 'data', ARGV[3], 'status', 'queued', 'origin', ARGV[5],
    'created_at', ARGV[4], 'enqueued_at', ARGV[4], 'description', 'sendMessage')
  ids[#ids + 1] = id
end
return redis.call('RPUSH', KEYS[1], unpack(ids))
