-- The libraries: patterns, coroutines, tables, files, garbage collection.
local text = "the quick brown fox jumps over the lazy dog"
print((text:gsub("%w+", function(w) return w:sub(1, 1):upper() .. w:sub(2) end)))
for k, n in text:gmatch("(%a)(%a+)") do io.write(k, "/", n, " ") end
print()
print(text:find("(%a+)%s+(%a+)", 5), ("%d"):rep(3, ","), ("äöü"):len(), utf8.len("äöü"), utf8.char(0x20ac))
print(string.pack("<i4z", 42, "hi"):byte(1, -1))

local function permutations(list, n)
  n = n or #list
  if n <= 1 then coroutine.yield(list) return end
  for i = 1, n do
    list[n], list[i] = list[i], list[n]
    permutations(list, n - 1)
    list[n], list[i] = list[i], list[n]
  end
end
for p in coroutine.wrap(function() permutations({"a", "b", "c"}) end) do io.write(table.concat(p), " ") end
print()
local co = coroutine.create(function() error("inside") end)
print(coroutine.resume(co))
print(coroutine.status(co), coroutine.isyieldable())

local words = {}
for w in text:gmatch("%a+") do words[#words + 1] = w end
table.sort(words, function(x, y) return #x == #y and x < y or #x < #y end)
print(table.concat(words, " "))

local name = "scratch.txt"
local file = assert(io.open(name, "w"))
for i = 1, 1000 do file:write(i, " ", i * i, "\n") end
file:close()
local sum, lines = 0, 0
for line in io.lines(name) do
  local _, square = line:match("(%d+) (%d+)")
  sum, lines = sum + tonumber(square), lines + 1
end
print(lines, sum)
file = assert(io.open(name, "r+"))
file:seek("end", -8)
print(file:read("a"))
file:seek("set", 0)
print(file:read("n", "n", "l", "L"))
file:close()
print(os.rename(name, "moved.txt"), os.remove("moved.txt"), (os.remove("moved.txt")))
print(os.getenv("GREETING"), os.getenv("NOT_SET"), arg[1], arg[2], #arg)
print(os.date("!%Y-%m-%d %H:%M:%S", 86400 * 365), os.time({year = 2000, month = 1, day = 1, hour = 12}) ~= nil)

local garbage = setmetatable({}, {__mode = "k"})
for i = 1, 10000 do garbage[{}] = i end
collectgarbage()
print(next(garbage), load("return 1 +")) -- the parser's errors too
local sieve, count = {}, 0
for i = 2, 100000 do
  if not sieve[i] then
    count = count + 1
    for j = i * i, 100000, i do sieve[j] = true end
  end
end
print(count)
io.stderr:write("to stderr\n")
os.exit(7)
