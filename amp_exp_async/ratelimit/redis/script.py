"""The script that Redis runs for each question. All times are by its clock, in milliseconds."""

from __future__ import annotations

SCRIPT = """
local parts, account = KEYS[1], KEYS[2]
local client = ARGV[1]
local number, kept, limit, per_day, demand, keep = unpack({
    tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])})
local asked_day, returned, owed, holding, wanted, seen = unpack({
    tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]),
    tonumber(ARGV[13])})
local pause, day_pause = tonumber(ARGV[14]), tonumber(ARGV[15])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local DAY = 86400000
local TURN = 3000

-- Who else has a part, and who wants one.
local others, unserved, demands, outstanding = 0, {}, {}, 0
local flat = redis.call('HGETALL', parts)
for i = 1, #flat, 2 do
    local id = flat[i]
    local part, wants, counted, seconds, sent, ends =
        string.match(flat[i + 1], '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+)$')
    if id == client then
        if tonumber(sent) >= number then
            return {}
        end
    elseif tonumber(ends) <= now then
        redis.call('HDEL', parts, id)
    else
        others = others + part
        outstanding = outstanding + counted
        limit = math.min(limit, tonumber(seconds))
        if tonumber(wants) > 0 then
            demands[id] = tonumber(wants)
            table.insert(unserved, id)
        end
    end
end
if demand > 0 then
    demands[client] = demand
    table.insert(unserved, client)
end
local asking = #unserved

-- Who wants less than an even share gets it all; the others share the rest. Where it is less than one for each, they
-- take turns.
local rest, target, settled = limit, 0, false
while #unserved > 0 and not settled do
    local even, unsatisfied = rest / #unserved, {}
    settled = true
    for _, id in ipairs(unserved) do
        if demands[id] <= even then
            rest = rest - demands[id]
            settled = false
            if id == client then
                target = demand
            end
        else
            table.insert(unsatisfied, id)
        end
    end
    unserved = unsatisfied
end
if #unserved > 0 then
    table.sort(unserved)
    local least = math.floor(rest / #unserved)
    local more, turn = rest % #unserved, 0
    if least == 0 then
        turn = math.floor(now / TURN) * more
    end
    for i, id in ipairs(unserved) do
        if id == client then
            target = least
            if (i - 1 + turn) % #unserved < more then
                target = target + 1
            end
        end
    end
end
local part = math.max(0, math.min(target, limit - others))

-- The day.
local day = math.floor(now / DAY)
local fields = redis.call('HMGET', account, 'day', 'used', 'pause', 'day_pause')
local used = 0
if tonumber(fields[1] or -1) == day then
    used = tonumber(fields[2])
end
if asked_day == day then
    used = math.max(0, math.max(used, seen) - returned)
else
    holding = 0
end
used = used + owed
local counted = wanted
if per_day > 0 then
    counted = math.max(0, math.min(wanted, per_day - used))
end
used = used + counted
local spent = 0
if wanted > 0 and counted == 0 and holding == 0 and outstanding == 0 then
    spent = (day + 1) * DAY - now
end

-- Pauses.
local paused = math.max(tonumber(fields[3] or 0), pause > 0 and now + pause or 0)
local day_paused = math.max(tonumber(fields[4] or 0), day_pause > 0 and now + day_pause or 0)

local holds = math.max(part, keep)
if holds + demand + holding + counted == 0 then
    redis.call('HDEL', parts, client)
else
    local entry = {holds, demand, holding + counted, ARGV[4], number, now + kept}
    for i, value in ipairs(entry) do
        entry[i] = string.format('%.0f', value)
    end
    redis.call('HSET', parts, client, table.concat(entry, ' '))
    redis.call('PEXPIRE', parts, kept)
end
redis.call('HSET', account, 'day', string.format('%.0f', day), 'used', string.format('%.0f', used),
    'pause', string.format('%.0f', paused), 'day_pause', string.format('%.0f', day_paused))
redis.call('PEXPIREAT', account, string.format('%.0f', math.max((day + 2) * DAY, paused, day_paused)))

-- The more there are, the more seldom each asks, so that all together ask less often than they send.
local interval = math.min(1000, math.max(100, math.floor(2000 * asking / limit)))
if demand > 0 and target == 0 then
    interval = math.min(3000, TURN - now % TURN)
end
return {part, interval, day, counted, used, spent, math.max(0, paused - now), math.max(0, day_paused - now)}
"""
