--- `:Tailora SUBCOMMAND`: what each does and how it is completed.
local client_of = require("tailora.client")
local message = require("tailora.message")
local server = require("tailora.server")

local M = {}

---@param act fun(client: vim.lsp.Client, folder: string|vim.NIL)
---@return fun()
local function with_client(act)
  return function()
    local bufnr = vim.api.nvim_get_current_buf()
    local client = client_of.get(bufnr)
    if not client then
      local problem = require("tailora.supervisor").problem() or "the language server does not run"
      return message.error(problem .. "; see :checkhealth tailora")
    end
    local here = client.attached_buffers[bufnr] and client_of.is_file(bufnr)
    act(client, here and vim.uri_from_bufnr(bufnr) or vim.NIL)
  end
end

---@param command string
---@return fun()
local function of_folder(command)
  return with_client(function(client, folder)
    server.run(client, command, { folder })
  end)
end

---@param path string
local function open_log(path)
  if vim.fn.filereadable(path) == 0 then
    return message.warn(("there is no log yet (%s)"):format(path))
  end
  vim.cmd.split({ args = { vim.fn.fnameescape(path) } })
  vim.bo.readonly, vim.bo.modifiable, vim.bo.autoread = true, false, true
  vim.cmd.normal({ "G", bang = true })
end

local function log()
  local client = client_of.get()
  if client and not client:is_stopped() then
    server.query(client, "tailora.log", {}, function(answer)
      open_log(answer and answer.path or vim.lsp.log.get_filename())
    end)
  else
    open_log(vim.lsp.log.get_filename()) -- what the server said before it ended is here
  end
end

local function restart()
  local supervisor = require("tailora.supervisor")
  supervisor.reset()
  local clients = vim.lsp.get_clients({ name = client_of.NAME })
  if #clients == 0 then
    client_of.configured()
    if client_of.found() then
      client_of.start_all()
      message.show("the language server is started")
    end
    return
  end
  local function stop_all()
    for _, client in ipairs(clients) do
      client:stop()
    end
    -- They have 3 s to end by themselves.
    local gone = vim.wait(3000, function()
      return #vim.lsp.get_clients({ name = client_of.NAME }) == 0
    end, 20)
    if not gone then
      for _, client in ipairs(vim.lsp.get_clients({ name = client_of.NAME })) do
        client:stop(true)
      end
    end
    vim.schedule(function()
      client_of.start_all()
      message.show("engine and language server were restarted")
    end)
  end
  server.query(clients[1] --[[@as vim.lsp.Client]], "tailora.restartEngine", {}, vim.schedule_wrap(stop_all))
end

local function trust()
  with_client(function(client, folder)
    if client.root_dir then
      require("tailora.trust").for_session(client.root_dir)
    end
    server.run(client, "tailora.trustWorkspace", { folder })
  end)()
end

---@param scope? string "filetype", else the buffer
local function toggle(scope)
  local ghost, bufnr = require("tailora.ghost"), vim.api.nvim_get_current_buf()
  local on = not ghost.enabled(bufnr)
  if scope == "filetype" then
    local options, filetype = require("tailora.config").options, vim.bo[bufnr].filetype
    vim.b[bufnr].tailora_enabled = nil
    options.filetypes_off = vim.tbl_filter(function(each)
      return each ~= filetype
    end, options.filetypes_off)
    if not on then
      table.insert(options.filetypes_off, filetype)
    end
    message.show(("ghost text is %s in %s files, until Neovim ends"):format(on and "on" or "off", filetype))
  else
    vim.b[bufnr].tailora_enabled = on
    message.show(("ghost text is %s in this buffer"):format(on and "on" or "off"))
  end
  ghost.look_again(bufnr)
  require("tailora.status").changed()
end

---@type table<string, fun(argument?: string)>
local commands = {
  adapters = with_client(function(client, folder)
    require("tailora.view.adapters").open(client, folder)
  end),
  disable = of_folder("tailora.disable"),
  doctor = with_client(function(client)
    require("tailora.view.doctor").open(client)
  end),
  enable = of_folder("tailora.enable"),
  learned = with_client(function(client, folder)
    require("tailora.view.learned").open(client, folder)
  end),
  log = log,
  pause = of_folder("tailora.pauseLearning"),
  pull = with_client(function(client)
    server.run(client, "tailora.pullModel", {})
  end),
  restart = restart,
  resume = of_folder("tailora.resumeLearning"),
  rollback = of_folder("tailora.rollBack"),
  status = function()
    require("tailora.view.status").open(vim.api.nvim_get_current_buf())
  end,
  toggle = toggle,
  train = of_folder("tailora.trainNow"),
  trust = trust,
}

---@param arguments string[]
function M.run(arguments)
  local name = arguments[1] or "status"
  local command = commands[name]
  if not command then
    local known = table.concat(vim.tbl_keys(commands), ", ")
    return message.error(("there is no :Tailora %s; there are: %s"):format(name, known))
  end
  command(arguments[2])
end

---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local words = vim.split(vim.trim(line:sub(1, #line - #lead)), "%s+")
  local choices = {} ---@type string[]
  if #words == 1 then
    choices = vim.tbl_keys(commands)
  elseif #words == 2 and words[2] == "toggle" then
    choices = { "buffer", "filetype" }
  end
  table.sort(choices)
  return vim.tbl_filter(function(choice)
    return vim.startswith(choice, lead)
  end, choices)
end

return M
