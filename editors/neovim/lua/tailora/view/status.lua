--- `:Tailora status`: what goes on, and why nothing is suggested here. Knows the status and no commands but to ask.
local format = require("tailora.view.format")
local server = require("tailora.server")
local window = require("tailora.view.window")

local M = {}
local get = format.get

---Why there is no ghost text in the buffer, from what the editor knows.
---@param bufnr integer
---@return string?
local function reason_of_editor(bufnr)
  local client = require("tailora.client")
  if not client.is_file(bufnr) then
    return "this is no file on this machine"
  elseif not vim.lsp.get_clients({ name = client.NAME, bufnr = bufnr })[1] then
    local filetype = vim.bo[bufnr].filetype
    return ("the server is not attached here (filetype %q; see `filetypes` in setup())"):format(filetype)
  elseif not require("tailora.ghost").enabled(bufnr) then
    return "ghost text is off here; :Tailora toggle turns it on"
  end
end

---@param model table<string, any>
---@return string
local function about_model(model)
  local told = {} ---@type string[]
  for _, key in ipairs({ "quantization", "device", "state" }) do
    told[#told + 1] = get(model[key])
  end
  return ("%s (%s)"):format(model.name, table.concat(told, ", "))
end

---Why there may be no suggestion in this buffer just now.
---@param status table<string, any>
---@return string
local function reason_of_server(status)
  local suggestion = get(status.suggestion) or {}
  if not vim.list_contains({ "ready", "training", "paused", "loading" }, status.state) then
    return "nothing is suggested until the state has changed"
  elseif not suggestion.shown and get(suggestion.reason) then
    return "last time nothing was suggested: " .. suggestion.reason
  end
  return "suggestions are made"
end

---@param status table<string, any>
---@param root? string
---@param here? string
---@param log? string
---@return string[]
local function lines_of(status, root, here, log)
  local model, project, engine = get(status.model) or {}, get(status.project) or {}, get(status.engine) or {}
  local rows = { { "State", ("%s: %s"):format(status.state, get(status.message) or "") } }
  local function row(name, text)
    rows[#rows + 1] = { name, text }
  end
  if model.name then
    row("Model", about_model(model))
  end
  if get(engine.pid) then
    row("Engine", ("process %d"):format(engine.pid))
  end
  if project.root then
    row("Folder", ("%s, %s"):format(project.root, project.trusted and "trusted" or "not trusted (:Tailora trust)"))
    local serving = get(project.serving)
    local adapter = serving and ("version %s"):format(serving) or "none yet, the shipped one serves"
    row("Adapter", project.disabled and adapter .. "; turned off (:Tailora enable)" or adapter)
    row("Learning", get(project.message) or project.state)
    if get(project.withdrawn) then
      row("Withdrawn", project.withdrawn)
    end
  else
    row("Folder", root or "none: this file is in no folder with .git or tailora.toml")
  end
  row("Here", here or reason_of_server(status))
  row("Log", log or vim.lsp.log.get_filename())
  return format.table(rows)
end

---Asks for all of these at once; `done` gets the answers by name when the last one is there.
---@param client vim.lsp.Client
---@param questions table<string, any[]>
---@param done fun(answers: table<string, tailora.Answer?>)
local function gather(client, questions, done)
  local answers, left = {}, vim.tbl_count(questions)
  for name, arguments in pairs(questions) do
    server.query(client, "tailora." .. name, arguments, function(answer)
      answers[name], left = answer, left - 1
      if left == 0 then
        done(answers)
      end
    end)
  end
end

---@param bufnr integer
function M.open(bufnr)
  local client = require("tailora.client").get(bufnr)
  local why = reason_of_editor(bufnr)
  local shown = window.open("Tailora")
  if not client then
    local problem = require("tailora.supervisor").problem() or "the language server does not run"
    return shown:show(format.table({
      { "State", problem },
      { "Here", why or "nothing is suggested" },
      { "Help", ":checkhealth tailora, :Tailora log, :Tailora restart" },
    }))
  end
  shown:show({ "asking …" })
  gather(client, { status = {}, log = {}, here = { vim.uri_from_bufnr(bufnr) } }, function(answers)
    local status = answers.status or require("tailora.status").of(bufnr)
    if not status then
      return shown:show({ "the server did not answer; :Tailora log says more" })
    end
    local here = why or answers.here and get(answers.here.reason)
    shown:show(lines_of(status, client.root_dir, here, answers.log and answers.log.path))
  end)
end

return M
