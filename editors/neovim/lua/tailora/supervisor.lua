--- A server that ended by itself: says so, starts it again after a while, and gives up where that does not help.
---
--- Knows nothing of the server. Invariant: at most five restarts in five minutes, and none at all in between, whatever
--- files are opened.
local message = require("tailora.message")

local M = {}

---Milliseconds before each restart.
M.delays = { 1000, 2000, 4000, 8000, 16000 }
local WINDOW_MS = 5 * 60 * 1000

---Set by the client: starts the server in all buffers that have none.
---@type fun()
M.start_again = function() end

local crashes = {} ---@type number[]
local timer ---@type uv.uv_timer_t?
local given_up = false

---What is wrong, for a person; nil where nothing is.
---@return string?
function M.problem()
  if given_up then
    return "the language server keeps ending and was not started again"
  end
  return timer and "the language server ended and is started again" or nil
end

---Whether the server must not be started now.
---@return boolean
function M.blocked()
  return timer ~= nil or given_up
end

---Begins anew, at the user's wish.
function M.reset()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
  crashes, given_up = {}, false
end

---The server answers: nothing is wrong any more.
function M.started()
  require("tailora.status").changed()
end

---@param code integer
---@param signal integer
local function crashed(code, signal)
  if vim.v.exiting ~= vim.NIL or M.blocked() then
    return -- another folder's server, which ended of the same
  end
  local now = vim.uv.now()
  crashes = vim.tbl_filter(function(at)
    return now - at < WINDOW_MS
  end, crashes)
  local how = signal ~= 0 and ("signal %d"):format(signal) or ("exit code %d"):format(code)
  local delay = M.delays[#crashes + 1]
  crashes[#crashes + 1] = now
  if not delay then
    given_up = true
    message.error(
      ("the server ended with %s, %d times. See :Tailora log; :Tailora restart tries again"):format(how, #crashes)
    )
  else
    message.warn(("the server ended with %s and starts again in %g s. See :Tailora log"):format(how, delay / 1000))
    timer = vim.defer_fn(function()
      timer = nil
      M.start_again()
    end, delay)
  end
  require("tailora.status").changed()
end

M.crashed = vim.schedule_wrap(crashed)

return M
