--- `:checkhealth tailora`: everything that can stand between a key and a suggestion, each with what to do.
local M = {}

local health = vim.health
local TIMEOUT_MS = 20000

---@param argv string[]
---@param timeout integer
---@return vim.SystemCompleted?
local function output(argv, timeout)
  local ok, process = pcall(vim.system, argv, { text = true, timeout = timeout })
  return ok and process:wait() or nil
end

---@return boolean
local function check_editor()
  health.start("Tailora: editor")
  if vim.fn.has("nvim-0.11") == 0 then
    health.error("Neovim 0.11 or newer is needed", { "Update Neovim: https://neovim.io" })
    return false
  end
  health.ok(("Neovim %s"):format(tostring(vim.version())))
  if vim.lsp.is_enabled("tailora") then
    health.ok("enabled by vim.lsp.enable('tailora')")
  else
    health.error("not enabled", { "Put vim.lsp.enable('tailora') or require('tailora').setup{} into your init.lua" })
  end
  return true
end

---@return string[]? argv that starts the program
local function check_server()
  health.start("Tailora: language server")
  local command = require("tailora.client").command()
  local path = vim.fn.exepath(command[1] or "")
  if path == "" then
    health.error(("%s was not found"):format(command[1] or "(none)"), {
      "Install it from its repository: pip install /path/to/tailora",
      "Or say where it is: require('tailora').setup{ cmd = { '/path/to/tailora', 'lsp' } }",
    })
    return nil
  end
  health.ok(("found: %s"):format(path))
  local argv = vim.list_slice(command)
  if argv[#argv] == "lsp" then
    argv[#argv] = nil
    local result = output(vim.list_extend(vim.list_slice(argv), { "--version" }), TIMEOUT_MS)
    if result and result.code == 0 and vim.trim(result.stdout or "") ~= "" then
      health.ok(vim.trim(result.stdout))
    end
    return argv
  end
  health.info("started by a command of your own, so its version is not asked")
end

---@param bufnr integer
---@return vim.lsp.Client?
local function check_client(bufnr)
  local problem = require("tailora.supervisor").problem()
  if problem then
    health.error(problem, { ":Tailora log says why", ":Tailora restart tries again" })
  end
  local client = vim.lsp.get_clients({ name = "tailora", bufnr = bufnr })[1]
  if client then
    health.ok(("attached to %s"):format(vim.api.nvim_buf_get_name(bufnr)))
    return client
  end
  client = require("tailora.client").get(bufnr)
  local advice = { "Open a file of one of the `filetypes` (:help tailora-options) and run this there" }
  if client then
    health.info("running, but not attached to the buffer that you came from")
  else
    health.warn("not running", advice)
  end
  return client
end

---@param client vim.lsp.Client
---@param bufnr integer
local function check_status(client, bufnr)
  health.start("Tailora: model and repository")
  local get = require("tailora.view.format").get
  local status = require("tailora.status").of(bufnr)
  if not status then
    return health.warn("the server has not told its status yet", { "Wait a moment and run this again" })
  end
  if status.state == "error" then
    health.error(status.message, { ":Tailora log says more", ":Tailora restart starts the engine anew" })
  elseif status.state == "model_missing" then
    health.error(status.message, { ":Tailora pull gets it" })
  else
    health.ok(("%s: %s"):format(status.state, get(status.message) or ""))
  end
  local reason = require("tailora.status").reason(bufnr)
  if reason then
    health.warn("nothing is suggested in the buffer: " .. reason)
  elseif client.attached_buffers[bufnr] and not require("tailora.ghost").enabled(bufnr) then
    health.warn("ghost text is off in the buffer", { ":Tailora toggle turns it on" })
  end
  local project = get(status.project)
  if not project then
    health.info("no folder: a repository is one with .git or tailora.toml")
  elseif project.trusted then
    health.ok(("%s is trusted: %s"):format(project.root, get(project.message) or project.state))
  else
    health.warn(("%s is not trusted, so it is not learned and no tests run"):format(project.root), {
      "For this session: :Tailora trust",
      "For good: require('tailora').setup{ trusted = { '" .. project.root .. "' } }",
    })
  end
end

---@param bufnr integer
local function check_keys(bufnr)
  health.start("Tailora: keys")
  local keys = require("tailora.keys")
  if not vim.b[bufnr].tailora_keys then
    return health.info("none are set in the buffer that you came from, as the server is not attached there")
  end
  for _, action in ipairs(keys.actions) do
    for _, lhs in ipairs(keys.of(action)) do
      local owner = keys.owner(bufnr, lhs)
      if owner == "tailora" then
        health.ok(("%s: %s"):format(lhs, action:gsub("_", " ")))
      else
        health.warn(("%s is taken by: %s"):format(lhs, owner), {
          "If that calls what the key did before, as nvim-cmp and blink.cmp do, all is well",
          ("Else map <Plug>(tailora-%s) yourself, or choose another key"):format((action:gsub("_", "-"))),
        })
      end
    end
  end
end

---@param client? vim.lsp.Client
---@param bufnr integer
local function check_built_in(client, bufnr)
  local built_in = vim.lsp.inline_completion
  if not built_in or not client or not require("tailora.config").options.ghost_text.enabled then
    return
  end
  if client:supports_method("textDocument/inlineCompletion", bufnr) then
    health.warn("Neovim's own inline completion may show Tailora's suggestions a second time", {
      "vim.lsp.inline_completion.enable(false), or ghost_text = { enabled = false } in setup()",
    })
  else
    health.ok("Neovim's own inline completion leaves Tailora alone")
  end
end

---@param findings table<string, any>[]
local function show_findings(findings)
  local get = require("tailora.view.format").get
  for _, finding in ipairs(findings) do
    local text = ("%s: %s"):format(finding.check, finding.message)
    local advice = get(finding.advice)
    local list = advice and advice ~= "" and { advice } or nil
    if finding.level == "problem" then
      health.error(text, list)
    elseif finding.level == "warning" then
      health.warn(text, list)
    else
      health.ok(text)
    end
  end
end

---@param client? vim.lsp.Client
---@param argv? string[]
local function check_machine(client, argv)
  health.start("Tailora: doctor")
  local findings ---@type any
  if client then
    local params = { command = "tailora.doctor", arguments = {} }
    local answer = client:request_sync("workspace/executeCommand", params, TIMEOUT_MS)
    findings = answer and type(answer.result) == "table" and answer.result.findings
  end
  if not findings and argv then
    local result = output(vim.list_extend(vim.list_slice(argv), { "doctor", "--json" }), TIMEOUT_MS)
    local ok, told = pcall(vim.json.decode, result and result.stdout or "")
    findings = ok and told
  end
  if type(findings) == "table" then
    show_findings(findings)
  else
    health.warn("the doctor did not answer in time", { "Run `tailora doctor` in a terminal" })
  end
end

function M.check()
  if not check_editor() then
    return
  end
  -- The buffer that the user came from; checkhealth has opened one of its own.
  local bufnr = vim.fn.bufnr("#")
  if bufnr < 1 or not vim.api.nvim_buf_is_loaded(bufnr) then
    bufnr = vim.api.nvim_get_current_buf()
  end
  local argv = check_server()
  local client = check_client(bufnr)
  if client then
    check_status(client, bufnr)
  end
  check_keys(bufnr)
  check_built_in(client, bufnr)
  if client or argv then
    check_machine(client, argv)
  end
end

return M
