"""The counters' Lua: one script, one round trip, all buckets or none.

The arithmetic is that of gcra.py (a test compares them); the time is the server's own, so that the clocks
of gateways do not matter. Lua's numbers are doubles; gcra.py keeps every value below 2^53, and `%.0f` writes
them whole.
"""

from __future__ import annotations

_NOW = """
local now = tonumber(ARGV[1])   -- 0: the server's own time; a test gives its own
if now == 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
local UNIT = 60000

local function drained(key, rate)
  local stored = redis.call('GET', key)
  if not stored then return 0 end
  local level, at = string.match(stored, '^(%d+) (%d+)$')
  return math.max(0, tonumber(level) - math.max(0, now - tonumber(at)) * rate)
end

local function keep(key, level, rate)
  if level <= 0 then redis.call('DEL', key) return end
  local value = string.format('%.0f %.0f', level, now)
  redis.call('SET', key, value, 'PX', string.format('%.0f', math.ceil(level / rate) + 1000))
end
"""

TAKE = (
    _NOW
    + """
-- ARGV: now, permit, lease in ms, wait for a parallel call in ms; then of each key: measure, limit, cost
local permit, lease, patience = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local used, waits, admitted = {}, {}, true
for i, key in ipairs(KEYS) do
  local measure, limit, cost = ARGV[3*i+2], tonumber(ARGV[3*i+3]), tonumber(ARGV[3*i+4])
  if measure == 'parallel' then
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    used[i] = redis.call('ZCARD', key)
    waits[i] = used[i] >= limit and patience or 0
  else
    used[i] = drained(key, limit)
    local over = used[i] + math.min(cost, limit) * UNIT - limit * UNIT
    waits[i] = over > 0 and math.ceil(over / limit) or 0
  end
  if waits[i] > 0 then admitted = false end
end
local readings = {}
for i, key in ipairs(KEYS) do
  local measure, limit, cost = ARGV[3*i+2], tonumber(ARGV[3*i+3]), tonumber(ARGV[3*i+4])
  local left, reset
  if measure == 'parallel' then
    if admitted then
      redis.call('ZADD', key, now + lease, permit)
      redis.call('PEXPIRE', key, lease + 1000)
      used[i] = used[i] + 1
    end
    left, reset = math.max(0, limit - used[i]), 0
  else
    if admitted then
      used[i] = used[i] + math.min(cost, limit) * UNIT
      keep(key, used[i], limit)
    end
    left = math.floor(math.max(0, limit * UNIT - used[i]) / UNIT)
    reset = math.ceil(used[i] / limit)
  end
  readings[#readings + 1] = {waits[i], left, reset}
end
return readings
"""
)

GIVE_BACK = (
    _NOW
    + """
-- ARGV: now, permit; then of each key: measure, limit, what was charged, what was used
for i, key in ipairs(KEYS) do
  if ARGV[4*i-1] == 'parallel' then
    redis.call('ZREM', key, ARGV[2])
  else
    local limit, estimate, actual = tonumber(ARGV[4*i]), tonumber(ARGV[4*i+1]), tonumber(ARGV[4*i+2])
    keep(key, math.max(0, drained(key, limit) + (actual - math.min(estimate, limit)) * UNIT), limit)
  end
end
return 1
"""
)

RENEW = (
    _NOW
    + """
-- ARGV: now, lease in ms; then the permit held in each key. A permit that has run out stays gone.
for i, key in ipairs(KEYS) do
  if redis.call('ZSCORE', key, ARGV[i+2]) then
    redis.call('ZADD', key, 'XX', now + tonumber(ARGV[2]), ARGV[i+2])
    redis.call('PEXPIRE', key, tonumber(ARGV[2]) + 1000)
  end
end
return 1
"""
)
