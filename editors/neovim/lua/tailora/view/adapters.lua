--- `:Tailora adapters`: the versions of this repository's adapter, and what can be done with them.
local format = require("tailora.view.format")
local server = require("tailora.server")
local window = require("tailora.view.window")

local M = {}
local get = format.get

local HEAD = { "version", "status", "age", "held-out loss", "exact match", "accepted", "why" }

---@param shown any
---@param accepted any
---@return string
local function accepted_of(shown, accepted)
  shown, accepted = get(shown) or 0, get(accepted) or 0
  return shown == 0 and "–" or ("%d of %d (%s)"):format(accepted, shown, format.percent(accepted / shown))
end

---@param version table<string, any>
---@return string[]
local function row_of(version)
  return {
    version.version,
    version.status,
    format.age(version.created),
    format.change(version.base_nll, version.candidate_nll, format.number),
    format.change(version.base_exact_match, version.candidate_exact_match, format.percent),
    accepted_of(version.shown, version.accepted),
    get(version.withdrawn) or get(version.reason) or "",
  }
end

---@param answer tailora.Answer
---@return string[] lines
---@return table<integer, table<string, any>> versions by line
local function lines_of(answer)
  local rows, at = { HEAD }, {}
  for index = #answer.versions, 1, -1 do -- newest first
    rows[#rows + 1] = row_of(answer.versions[index])
    at[#rows] = answer.versions[index]
  end
  local foundation = get(answer.foundation) or {}
  rows[#rows + 1] = {
    "shipped",
    "",
    "",
    "",
    "",
    accepted_of(foundation.shown, foundation.accepted),
    "the adapter that comes with Tailora",
  }
  local lines = format.table(rows)
  local function say(text)
    lines[#lines + 1] = text
  end
  say("")
  if #answer.versions == 0 then
    say("Nothing was learned of this repository yet; :Tailora train begins, in a trusted folder.")
  end
  if answer.disabled then
    say("The adapter is turned off; :Tailora enable turns it on.")
  end
  if answer.paused then
    say("Learning is paused; :Tailora resume goes on.")
  end
  if get(answer.retrain) then
    say("The next run begins from the start: " .. answer.retrain)
  end
  if #(get(answer.forgotten) or {}) > 0 then
    say("Forgotten: " .. table.concat(answer.forgotten, ", "))
  end
  local repair = get(answer.repair) or {}
  if get(repair.serving) then
    say(("For repairs, version %s of an adapter of their own serves."):format(repair.serving))
  end
  say("u use   d delete   D delete all   <CR> checks of the gate   q close   ? help")
  return lines, at
end

---@param version table<string, any>
local function show_checks(version)
  local rows = { { "", "check", "value", "limit", "" } }
  for _, check in ipairs(get(version.checks) or {}) do
    rows[#rows + 1] = {
      check.passed and "✓" or "✗",
      check.name,
      tostring(get(check.value) or ""),
      tostring(get(check.limit) or ""),
      get(check.message) or "",
    }
  end
  local lines = { ("Version %s: %s"):format(version.version, version.status), "" }
  vim.list_extend(lines, #rows > 1 and format.table(rows) or { "The gate has not judged it." })
  local trained = {} ---@type string[]
  for _, figure in ipairs({ { "examples", "examples" }, { "files", "files" }, { "seconds", "s of training" } }) do
    if type(version[figure[1]]) == "number" then
      trained[#trained + 1] = ("%d %s"):format(version[figure[1]], figure[2])
    end
  end
  vim.list_extend(lines, { "", table.concat(trained, ", ") })
  window.open("Tailora: the gate"):show(lines)
end

---@param client vim.lsp.Client
---@param folder string|vim.NIL URI
function M.open(client, folder)
  local versions = {} ---@type table<integer, table<string, any>>
  local shown ---@type tailora.Window
  local function load()
    server.run(client, "tailora.adapters", { folder }, function(answer)
      local lines
      lines, versions = lines_of(answer)
      shown:show(lines)
      shown:mark(1, "Title")
    end)
  end
  local function on_version(act)
    return function()
      local version = versions[vim.api.nvim_win_get_cursor(0)[1]]
      if version then
        act(version)
      else
        vim.notify("Tailora: there is no version in this line")
      end
    end
  end
  local function change(command, arguments)
    server.run(client, command, arguments, function(answer)
      vim.notify("Tailora: " .. answer.message)
      load()
    end)
  end
  local function delete(what, version)
    local answer = vim.fn.confirm(("Delete %s? It cannot be brought back."):format(what), "&Delete\n&Keep", 2)
    vim.cmd.redraw() -- the question is gone before the answer's message comes, which else asks for <Enter>
    if answer == 1 then
      change("tailora.deleteAdapters", { folder, version })
    end
  end
  shown = window.open("Tailora: adapters", {
    u = {
      "use this version",
      on_version(function(version)
        change("tailora.useVersion", { folder, version.version })
      end),
    },
    d = {
      "delete this version",
      on_version(function(version)
        delete("version " .. version.version, version.version)
      end),
    },
    D = {
      "delete all that was learned",
      function()
        delete("everything that was learned of this repository", vim.NIL)
      end,
    },
    ["<CR>"] = { "what the gate asked", on_version(show_checks) },
  })
  shown:show({ "asking …" })
  load()
end

return M
