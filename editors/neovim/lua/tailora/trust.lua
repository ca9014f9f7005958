--- Which folders the user trusts: by the option `trusted`, and by `:Tailora trust` for this session.
---
--- Knows nothing of what trust allows; the server does. A function that fails trusts nothing.
local config = require("tailora.config")
local message = require("tailora.message")

local M = {}

---@type table<string, true>
local session = {}

---@param path string
---@return string
local function real(path)
  return vim.uv.fs_realpath(vim.fs.normalize(path)) or vim.fs.normalize(path)
end

---Trusts `root` until Neovim ends.
---@param root string
function M.for_session(root)
  session[real(root)] = true
end

---Whether `root` is trusted; nil: the user has set nothing here, and the server's own settings decide.
---@param root? string
---@return boolean?
function M.of(root)
  local trusted = config.options.trusted
  if root and session[real(root)] then
    return true
  elseif type(trusted) ~= "function" and type(trusted) ~= "table" then
    return trusted --[[@as boolean?]]
  end
  if not root then
    return false
  end
  if type(trusted) == "function" then
    local ok, answer = pcall(trusted, root)
    if not ok then
      message.warn(("`trusted` failed for %s, so it is not trusted: %s"):format(root, answer))
    end
    return ok and answer == true
  end
  local path = real(root)
  return vim.iter(trusted):any(function(folder)
    local parent = real(folder)
    return path == parent or vim.startswith(path, (parent:gsub("/$", "")) .. "/")
  end)
end

---The server's settings for `root`: what the user has set, and trust.
---@param root? string
---@param settings table<string, any>
---@return table<string, any>
function M.settings(root, settings)
  local result, trusted = vim.deepcopy(settings), M.of(root)
  if trusted ~= nil then
    result = vim.tbl_deep_extend("force", result, { learning = { trusted = trusted } })
  end
  return result
end

return M
