--- Draws ghost text: an extmark in the namespace `tailora`, the first line of it inline, the others below.
---
--- Knows text and places, and not where they come from. There is one extmark in a buffer, which is moved and rewritten
--- in place, so nothing flickers.
local api = vim.api

local M = {}

local MARK = 1
local namespace = api.nvim_create_namespace("tailora")

---Virtual text shows a tab as ^I, so tabs are drawn as the blanks that they will be.
---@param text string
---@param column integer screen column that it begins at
---@return string
local function expand_tabs(text, column)
  if not text:find("\t", 1, true) then
    return text
  end
  local parts = {} ---@type string[]
  for before, tab in text:gmatch("([^\t]*)(\t?)") do
    parts[#parts + 1] = before
    column = column + vim.fn.strdisplaywidth(before, column)
    if tab ~= "" then
      local width = vim.fn.strdisplaywidth(tab, column)
      parts[#parts + 1] = (" "):rep(width)
      column = column + width
    end
  end
  return table.concat(parts)
end

---@param bufnr integer the current window's buffer
---@param at tailora.Place
---@param text string
---@param highlight string
function M.show(bufnr, at, text, highlight)
  local lines = vim.split(text, "\n", { plain = true })
  local line = api.nvim_buf_get_lines(bufnr, at.row, at.row + 1, false)[1] or ""
  local first = lines[1] or ""
  if first:find("\t", 1, true) then
    first = expand_tabs(first, vim.fn.strdisplaywidth(line:sub(1, at.col)))
  end
  local below = {} ---@type [string, string][][]
  for index = 2, #lines do
    below[#below + 1] = { { expand_tabs(lines[index], 0), highlight } }
  end
  api.nvim_buf_set_extmark(bufnr, namespace, at.row, at.col, {
    id = MARK,
    virt_text = first ~= "" and { { first, highlight } } or nil,
    virt_text_pos = "inline",
    virt_lines = #below > 0 and below or nil,
    hl_mode = "combine",
    strict = false,
  })
end

---@param bufnr integer
function M.clear(bufnr)
  if api.nvim_buf_is_valid(bufnr) then
    api.nvim_buf_del_extmark(bufnr, namespace, MARK)
  end
end

return M
