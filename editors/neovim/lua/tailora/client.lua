--- The client of the language server: how it is started, for which buffers, and what of it is ours.
---
--- Knows what must be connected with what, and does nothing of it itself.
local config = require("tailora.config")
local supervisor = require("tailora.supervisor")
local trust = require("tailora.trust")

local M = {}

M.NAME = "tailora"
local ROOT_MARKERS = { "tailora.toml", ".git" }

---The client of a buffer, or any one there is.
---@param bufnr? integer default: the current buffer
---@return vim.lsp.Client?
function M.get(bufnr)
  local name = M.NAME
  return vim.lsp.get_clients({ name = name, bufnr = bufnr or 0 })[1] or vim.lsp.get_clients({ name = name })[1]
end

---Whether a buffer is a file on this machine that the user edits.
---@param bufnr integer
---@return boolean
function M.is_file(bufnr)
  local name = vim.api.nvim_buf_get_name(bufnr)
  return vim.api.nvim_buf_is_loaded(bufnr)
    and vim.bo[bufnr].buftype == ""
    and name ~= ""
    and (not name:match("^%a[%w+.-]+://") or vim.startswith(name, "file://"))
end

---@return string[]
function M.command()
  return config.options.cmd or { "tailora", "lsp" }
end

local missing_told = false

---Whether the server can be started; says once what to do where it cannot.
---@return boolean
function M.found()
  local program = M.command()[1]
  if program and vim.fn.executable(program) == 1 then
    return true
  end
  if not missing_told then
    missing_told = true
    local advice = config.options.cmd and "correct cmd" or "install it, or set cmd"
    require("tailora.message").warn(
      ("%s was not found; %s in setup(). See :checkhealth tailora"):format(program or "cmd", advice)
    )
  end
  return false
end

---Starts the server for one buffer, or attaches the one that runs.
---@param bufnr integer
function M.start(bufnr)
  local resolved = vim.lsp.config.tailora
  if
    not vim.lsp.is_enabled(M.NAME)
    or not resolved
    or not M.is_file(bufnr)
    or not vim.list_contains(resolved.filetypes or {}, vim.bo[bufnr].filetype)
    or vim.lsp.get_clients({ name = M.NAME, bufnr = bufnr })[1]
  then
    return
  end
  local mine = vim.deepcopy(resolved)
  local function go(root)
    mine.root_dir = root
    vim.schedule(function()
      vim.lsp.start(mine, { bufnr = bufnr, reuse_client = mine.reuse_client })
    end)
  end
  if type(resolved.root_dir) == "function" then
    resolved.root_dir(bufnr, go)
  else
    go(resolved.root_dir)
  end
end

---The same for all buffers that have none.
function M.start_all()
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    M.start(bufnr)
  end
end

---Options were set: the servers that run are asked to ask for them.
function M.configured()
  missing_told = false
  for _, client in ipairs(vim.lsp.get_clients({ name = M.NAME })) do
    -- Empty, and not null, which Neovim 0.11 leaves out: the server asks for them then.
    client:notify("workspace/didChangeConfiguration", { settings = vim.empty_dict() })
  end
  for bufnr in pairs((M.get() or { attached_buffers = {} }).attached_buffers) do
    require("tailora.ghost").look_again(bufnr)
  end
end

---@param dispatchers vim.lsp.rpc.Dispatchers
---@param resolved vim.lsp.ClientConfig
---@return vim.lsp.rpc.PublicClient
local function start_process(dispatchers, resolved)
  local stopping = false
  local watched = vim.tbl_extend("force", dispatchers, {
    on_exit = function(code, signal)
      if stopping then
        dispatchers.on_exit(code, signal)
      else
        supervisor.crashed(code, signal)
        dispatchers.on_exit(0, 0) -- Neovim would say it a second time, and not what to do
      end
    end,
  })
  local rpc = vim.lsp.rpc.start(M.command(), watched, {
    cwd = resolved.cmd_cwd,
    env = resolved.cmd_env,
    detached = resolved.detached,
  })
  return setmetatable({
    request = function(method, ...)
      stopping = stopping or method == "shutdown"
      return rpc.request(method, ...)
    end,
    terminate = function()
      stopping = true
      return rpc.terminate()
    end,
  }, { __index = rpc })
end

---What the server asks for: what the user has set, with each folder's trust.
---@param params lsp.ConfigurationParams
---@param context lsp.HandlerContext
---@return any[]
local function answer_configuration(_, params, context)
  local client = vim.lsp.get_client_by_id(context.client_id)
  local own = client and vim.tbl_get(client.settings, "tailora") or {}
  local settings = vim.tbl_deep_extend("force", config.options.settings, own)
  return vim.tbl_map(function(item)
    if item.section ~= "tailora" then
      return vim.NIL
    end
    local root = item.scopeUri and vim.uri_to_fname(item.scopeUri) or client and client.root_dir
    local told = trust.settings(root, settings)
    return next(told) and told or vim.NIL
  end, params.items or {})
end

---@param client vim.lsp.Client
local function on_init(client)
  supervisor.started()
  require("tailora.diagnostics").complete_code_actions(client)
  if config.options.ghost_text.enabled then
    -- Hides it from Neovim 0.12's own ghost text, which a user may have enabled for every server.
    client.server_capabilities.inlineCompletionProvider = nil
  end
end

---@param client vim.lsp.Client
---@param bufnr integer
local function on_attach(client, bufnr)
  if config.options.ghost_text.enabled then
    require("tailora.keys").attach(bufnr)
    require("tailora.ghost").attach(bufnr, client.id)
  end
  require("tailora.code_lens").attach(client, bufnr)
  require("tailora.status").attach(client, bufnr)
end

local group = vim.api.nvim_create_augroup("tailora.client", {})

vim.api.nvim_create_autocmd("LspDetach", {
  group = group,
  callback = function(event)
    local client = vim.lsp.get_client_by_id(event.data.client_id)
    if client and client.name == M.NAME then
      require("tailora.ghost").detach(event.buf)
      require("tailora.status").detach(event.buf)
    end
  end,
})

-- A buffer that gets its name late is a file from then on.
vim.api.nvim_create_autocmd({ "BufFilePost", "BufWritePost" }, {
  group = group,
  callback = function(event)
    M.start(event.buf)
  end,
})

supervisor.start_again = M.start_all

---@return vim.lsp.Config
function M.config()
  ---@type vim.lsp.Config
  return {
    -- A function, as Neovim says nothing of a list whose program is missing.
    cmd = start_process,
    filetypes = config.options.filetypes,
    root_dir = function(bufnr, on_dir)
      if M.is_file(bufnr) and M.found() and not supervisor.blocked() then
        on_dir(vim.fs.root(bufnr, ROOT_MARKERS))
      end
    end,
    capabilities = {
      textDocument = { inlineCompletion = { dynamicRegistration = false } },
      experimental = { tailora = { suggestions = true } },
    },
    before_init = function(params, resolved)
      local own = params.initializationOptions or {}
      local settings = vim.tbl_deep_extend("force", config.options.settings, own)
      local told = trust.settings(resolved.root_dir, settings)
      params.initializationOptions = next(told) and told or nil
    end,
    on_init = on_init,
    on_attach = on_attach,
    commands = {
      ["tailora.repairTest"] = function(command, context)
        require("tailora.server").run(context.client_id, command.command, command.arguments)
      end,
    },
    handlers = {
      ["tailora/status"] = function(_, status, context)
        require("tailora.status").set(context.client_id, status)
      end,
      -- Part of the capability; the status says why nothing was suggested.
      ["tailora/suggestion"] = function() end,
      ["tailora/refreshSuggestion"] = function(_, params)
        require("tailora.ghost").more(params.uri)
      end,
      ["workspace/configuration"] = answer_configuration,
      ["workspace/codeLens/refresh"] = function(err, result, context)
        return require("tailora.code_lens").refresh(err, result, context)
      end,
    },
  }
end

return M
