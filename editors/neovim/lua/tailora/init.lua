--- The public surface. Everything else under lua/tailora/ may change; see |tailora| for what these do.
local M = {}

---Sets options and starts Tailora. Not needed where the defaults will do: `vim.lsp.enable("tailora")` suffices.
---May be called again.
---@param options? tailora.Config see the defaults in lua/tailora/config.lua
function M.setup(options)
  local problems = require("tailora.config").set(options)
  if #problems > 0 then
    require("tailora.message").warn(
      ("options that cannot be used: %s. See :help tailora-options"):format(table.concat(problems, "; "))
    )
  end
  if vim.fn.has("nvim-0.11") == 1 then
    require("tailora.client").configured()
    vim.lsp.enable("tailora")
  end
end

-- A suggestion is put in by a command between two undo breaks, so accepting is an undo step of its own, also where the
-- key is mapped by an expression.
---@param part "all"|"word"|"line"
---@return boolean
local function accept(part)
  if not require("tailora.ghost").visible() then
    return false
  end
  local insert = ("<C-g>u<Cmd>lua require('tailora.ghost').insert('%s')<CR><C-g>u"):format(part)
  vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(insert, true, true, true), "in", false)
  return true
end

---Accepts the whole suggestion. As all of these: in insert mode, and false where there is no ghost text.
---@return boolean
function M.accept()
  return accept("all")
end

---Accepts its next word.
---@return boolean
function M.accept_word()
  return accept("word")
end

---Accepts its next line.
---@return boolean
function M.accept_line()
  return accept("line")
end

---Shows the next of several suggestions.
---@return boolean
function M.next()
  return require("tailora.ghost").cycle(1)
end

---Shows the one before.
---@return boolean
function M.prev()
  return require("tailora.ghost").cycle(-1)
end

---Takes the suggestion away until the text changes.
---@return boolean
function M.dismiss()
  return require("tailora.ghost").dismiss()
end

---Asks for a suggestion now.
---@return boolean
function M.trigger()
  return require("tailora.ghost").trigger()
end

---@class tailora.Shown
---@field text string what accepting would insert at the cursor
---@field shown boolean whether it is on the screen

---The suggestion in the current buffer; nil if there is none.
---@return tailora.Shown?
function M.suggestion()
  local text = require("tailora.ghost").visible()
  return text and { text = text, shown = true } or nil
end

---The newest status that the server of a buffer has told, as in `tailora/status`; nil before the first one.
---@param bufnr? integer default: the current buffer
---@return table<string, any>?
function M.status(bufnr)
  return require("tailora.status").of(bufnr)
end

---A short text for a statusline; empty where there is no server.
---@param bufnr? integer default: the current buffer
---@return string
function M.statusline(bufnr)
  return require("tailora.status").text(bufnr)
end

return M
