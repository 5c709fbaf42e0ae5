-- Renews a lane's lease, and records the epoch under which the database knows its holder.
--
-- KEYS  1 lease    2 epoch
-- ARGV  1 token    2 lease in ms    3 the epoch; '' leaves it as it is
-- Returns 1, or 0 if the lane is another worker's.

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[2], ARGV[3])
end
return 1
