--- A window over the others with text to read and keys to press. Knows nothing of what is in it.
local api = vim.api

local M = {}

---@class tailora.Window
---@field bufnr integer
---@field win integer
---@field lines string[]
local Window = {}
Window.__index = Window

---@param title string
---@param keys? table<string, { [1]: string, [2]: fun() }> key -> what it does in a word, and the function
---@return tailora.Window
function M.open(title, keys)
  local bufnr = api.nvim_create_buf(false, true)
  vim.bo[bufnr].bufhidden = "wipe"
  vim.bo[bufnr].filetype = "tailora"
  local win = api.nvim_open_win(bufnr, true, {
    relative = "editor",
    width = 1,
    height = 1,
    row = 1,
    col = 1,
    style = "minimal",
    border = "rounded",
    title = (" %s "):format(title),
  })
  vim.wo[win].wrap = true
  vim.wo[win].linebreak = true
  local self = setmetatable({ bufnr = bufnr, win = win, lines = {} }, Window)
  local close = {
    "close",
    function()
      self:close()
    end,
  }
  local all = vim.tbl_extend("force", { q = close, ["<Esc>"] = close }, keys or {})
  all["?"] = {
    "these keys",
    function()
      local told = {} ---@type string[]
      for key, what in vim.spairs(all) do
        told[#told + 1] = ("%s  %s"):format(key, what[1])
      end
      vim.notify(table.concat(told, "\n"))
    end,
  }
  for key, what in pairs(all) do
    vim.keymap.set("n", key, what[2], { buffer = bufnr, nowait = true, desc = "Tailora: " .. what[1] })
  end
  return self
end

---@return boolean
function Window:is_open()
  return api.nvim_win_is_valid(self.win)
end

function Window:close()
  if self:is_open() then
    api.nvim_win_close(self.win, true)
  end
end

---Shows these lines instead of the ones before, in a window as large as they need, where there is room.
---@param lines string[]
function Window:show(lines)
  if not self:is_open() then
    return
  end
  self.lines = vim.split(table.concat(lines, "\n"), "\n", { plain = true })
  local widest = 20
  for _, line in ipairs(self.lines) do
    widest = math.max(widest, vim.fn.strdisplaywidth(line))
  end
  local width = math.max(1, math.min(widest, vim.o.columns - 4))
  local rows = 0
  for _, line in ipairs(self.lines) do
    rows = rows + math.max(1, math.ceil(vim.fn.strdisplaywidth(line) / width))
  end
  local height = math.max(1, math.min(rows, vim.o.lines - vim.o.cmdheight - 4))
  vim.bo[self.bufnr].modifiable = true
  api.nvim_buf_set_lines(self.bufnr, 0, -1, false, self.lines)
  vim.bo[self.bufnr].modifiable = false
  api.nvim_win_set_config(self.win, {
    relative = "editor",
    width = width,
    height = height,
    row = math.max(0, math.floor((vim.o.lines - height) / 2) - 1),
    col = math.max(0, math.floor((vim.o.columns - width) / 2) - 1),
  })
end

---Marks a line, such as that of a title.
---@param line integer 1-based
---@param highlight string
function Window:mark(line, highlight)
  vim.hl.range(self.bufnr, api.nvim_create_namespace("tailora.window"), highlight, { line - 1, 0 }, { line - 1, -1 })
end

return M
