--- `:Tailora learned`: which files are learned, and which are left out and why.
local format = require("tailora.view.format")
local server = require("tailora.server")
local window = require("tailora.view.window")

local M = {}
local get = format.get

---@param answer tailora.Answer
---@return string[]
local function lines_of(answer)
  local learned, left_out = get(answer.learned) or {}, get(answer.left_out) or {}
  local lines = { ("%d files are learned"):format(#learned), "" }
  local rows = {} ---@type string[][]
  for _, path in ipairs(learned) do
    rows[#rows + 1] = { "  " .. (type(path) == "table" and path.path or path) }
  end
  vim.list_extend(lines, format.table(rows))
  vim.list_extend(lines, { "", ("%d are left out"):format(#left_out), "" })
  rows = {}
  for _, entry in ipairs(left_out) do
    local count = type(entry.count) == "number" and entry.count > 1 and (" (%d)"):format(entry.count) or ""
    rows[#rows + 1] = { "  " .. (get(entry.path) or "") .. count, entry.reason, get(entry.detail) or "" }
  end
  vim.list_extend(lines, format.table(rows))
  local history = get(answer.history)
  if history then
    local text = get(history.reason)
      or ("%s commits, %s recent lines"):format(get(history.commits) or 0, get(history.recent_lines) or 0)
    vim.list_extend(lines, { "", "History: " .. text })
  end
  return lines
end

---@param client vim.lsp.Client
---@param folder string|vim.NIL URI
function M.open(client, folder)
  local shown = window.open("Tailora: what is learned")
  shown:show({ "looking through the repository; this takes some seconds …" })
  server.run(client, "tailora.learned", { folder }, function(answer)
    shown:show(lines_of(answer))
  end)
end

return M
