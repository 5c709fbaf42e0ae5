-- For other scripts: what those that make room do before anything else. Of a Redis whose memory is full, a script gets what
-- it needs if its first write needs none.

local function begin_although_full(key)
  redis.call('PERSIST', key)
end
