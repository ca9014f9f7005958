--- Messages to the user, all in the same way.
local M = {}

---@param text string
---@param level? integer one of `vim.log.levels`; default: information
function M.show(text, level)
  vim.schedule(function()
    vim.notify("Tailora: " .. text, level or vim.log.levels.INFO, { title = "Tailora" })
  end)
end

---@param text string
function M.warn(text)
  M.show(text, vim.log.levels.WARN)
end

---@param text string
function M.error(text)
  M.show(text, vim.log.levels.ERROR)
end

return M
