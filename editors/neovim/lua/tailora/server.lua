--- The server's commands: runs one and shows what it answers. Knows nothing of what they do.
local message = require("tailora.message")

local M = {}

---@alias tailora.Answer table<string, any> with `ok` and `message`

---@param client vim.lsp.Client
---@param command string
---@return boolean
local function knows(client, command)
  local commands = vim.tbl_get(client.server_capabilities or {}, "executeCommandProvider", "commands") or {}
  return vim.list_contains(commands, command)
end

---Asks without a word to the user: the answer is nil where there is none, or it is not `ok`.
---@param client vim.lsp.Client
---@param command string
---@param arguments any[]
---@param done fun(answer?: tailora.Answer)
function M.query(client, command, arguments, done)
  if not knows(client, command) then
    return done(nil)
  end
  local params = { command = command, arguments = arguments }
  client:request("workspace/executeCommand", params, function(err, answer)
    done(not err and type(answer) == "table" and answer.ok and answer or nil)
  end)
end

---Runs a command and shows its message, or what went wrong. `done` is called only if all went well; where it is given,
---it says what came of it, and the message is not shown.
---@param client integer|vim.lsp.Client
---@param command string
---@param arguments? any[]
---@param done? fun(answer: tailora.Answer)
function M.run(client, command, arguments, done)
  local target = type(client) == "number" and vim.lsp.get_client_by_id(client) or client --[[@as vim.lsp.Client?]]
  if not target or target:is_stopped() then
    return message.error("the language server does not run; see :checkhealth tailora")
  elseif not knows(target, command) then
    return message.error(("the server does not know %s; update it, then :Tailora restart"):format(command))
  end
  local params = { command = command, arguments = arguments }
  local sent = target:request("workspace/executeCommand", params, function(err, answer)
    if err then
      message.error(("%s failed: %s. :Tailora log says more"):format(command, err.message))
    elseif type(answer) ~= "table" then
      message.error(("%s was not answered; is the language server of this version?"):format(command))
    elseif answer.ok == false then
      return -- the server has shown why
    elseif done then
      done(answer)
    else
      message.show(answer.message or "done")
    end
  end)
  if not sent then
    message.error("the language server has ended; :Tailora restart starts it again")
  end
end

return M
