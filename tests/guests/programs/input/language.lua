-- The language: closures, metatables, goto, integer and float arithmetic, errors that cross C calls (longjmp).
local function counter()
  local n = 0
  return function() n = n + 1; return n end
end
local a, b = counter(), counter()
print(a(), a(), b())

local V = {}
V.__index = V
V.__add = function(x, y) return setmetatable({x[1] + y[1], x[2] + y[2]}, V) end
V.__eq = function(x, y) return x[1] == y[1] and x[2] == y[2] end
V.__tostring = function(v) return "(" .. v[1] .. ", " .. v[2] .. ")" end
local v = setmetatable({1, 2}, V) + setmetatable({3, 4.5}, V)
print(tostring(v), v == setmetatable({4, 6.5}, V), #v)

print(7 // 2, -7 // 2, 7 % -3, 7.5 // 2, 2 ^ 10, 10 / 2, 3 | 5, ~0, 1 << 62, math.maxinteger + 1 == math.mininteger)
print(0x7fffffffffffffff, 1e308 * 10, -1e308 * 10, 0.1 + 0.2, 1e15, 123456789012345678)
print(string.format("%5.2f|%-8s|%08x|%q|%g|%a", math.pi, "left", 48879, "a\nb\0c", 1e-10, 0.5))

print((select(2, pcall(error, {code = 42})).code))
print(pcall(function() local x = nil; return x.field end))
print(select(2, pcall(error, "plain", 0)))
print(xpcall(function() error("deep") end, function(m) return "handled: " .. m end))
print(pcall(string.rep, "x", -1), pcall(string.rep))
local depth = 0
local function recurse() depth = depth + 1; return 1 + recurse() end
print((select(2, pcall(recurse)):gsub("^.-:%d+: ", "")):sub(1, 14), depth > 1000)
-- errors through several protected calls, many times
local caught = 0
for i = 1, 2000 do
  local ok = pcall(function()
    local inner = pcall(error, i)
    assert(not inner)
    if i % 2 == 0 then error("even") end
  end)
  if not ok then caught = caught + 1 end
end
print("caught", caught)

for i = 1, 3 do
  for j = 1, 3 do
    if j == 2 then goto continue end
    io.write(i, ":", j, " ")
    ::continue::
  end
end
print()
print(select("#", table.unpack({1, nil, 3}, 1, 3)), table.concat({1, 2, 3}, "-"))
local closed = {}
do
  local c <close> = setmetatable({}, {__close = function() closed[#closed + 1] = "closed" end})
end
print(closed[1])
