--- Figures and tables as text. Pure.
local M = {}

---A value of JSON, where null is nil.
---@param value any
---@return any
function M.get(value)
  if value == vim.NIL then
    return nil
  end
  return value
end

---@param value any 0..1
---@return string
function M.percent(value)
  return type(value) == "number" and ("%.0f %%"):format(100 * value) or "–"
end

---@param before any
---@param after any
---@param how fun(value: any): string
---@return string
function M.change(before, after, how)
  if type(before) ~= "number" and type(after) ~= "number" then
    return "–"
  end
  return ("%s → %s"):format(how(before), how(after))
end

---@param value any
---@return string
function M.number(value)
  return type(value) == "number" and ("%.2f"):format(value) or "–"
end

---How long ago a time of ISO 8601 in UTC is.
---@param time any
---@return string
function M.age(time)
  local year, month, day, hour, minute, second = tostring(time):match("^(%d+)-(%d+)-(%d+)[T ](%d+):(%d+):(%d+)")
  if not year then
    return "–"
  end
  local now = os.time()
  local utc = os.date("!*t", now) --[[@as table]]
  utc.isdst = false
  local then_ = os.time({
    year = tonumber(year) --[[@as integer]],
    month = tonumber(month) --[[@as integer]],
    day = tonumber(day) --[[@as integer]],
    hour = tonumber(hour) --[[@as integer]],
    min = tonumber(minute) --[[@as integer]],
    sec = tonumber(second) --[[@as integer]],
    isdst = false,
  })
  local seconds = math.max(0, os.difftime(os.time(utc), then_))
  for _, unit in ipairs({ { 86400, "d" }, { 3600, "h" }, { 60, "min" } }) do
    if seconds >= unit[1] then
      return ("%d %s"):format(math.floor(seconds / unit[1]), unit[2])
    end
  end
  return "now"
end

---Rows as aligned columns; the last one may be of any length.
---@param rows string[][]
---@return string[]
function M.table(rows)
  local widths = {} ---@type integer[]
  for _, row in ipairs(rows) do
    for index, cell in ipairs(row) do
      widths[index] = math.max(widths[index] or 0, vim.fn.strdisplaywidth(cell))
    end
  end
  return vim.tbl_map(function(row)
    local cells = {} ---@type string[]
    for index, cell in ipairs(row) do
      local padding = index < #row and widths[index] - vim.fn.strdisplaywidth(cell) or 0
      cells[index] = cell:gsub("\n", " ") .. (" "):rep(padding)
    end
    return (table.concat(cells, "  "):gsub("%s+$", ""))
  end, rows)
end

return M
