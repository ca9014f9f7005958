--- What goes on, as the servers tell it: for statuslines, `vim.g.tailora_status` and the event `User TailoraStatus`.
local M = {}

local api = vim.api

---@type table<integer, table<string, any>>
local statuses = {} -- by client
---@type table<integer, table<string|integer, { title: string, percentage?: integer }>>
local busy = {} -- by client and token
---@type table<integer, string?>
local off_here = {} -- by buffer: why nothing is suggested in it at all

---@param bufnr? integer
---@return vim.lsp.Client?
local function client_of(bufnr)
  return vim.lsp.get_clients({ name = "tailora", bufnr = bufnr or 0 })[1]
end

---@param bufnr? integer
---@return table<string, any>?
function M.of(bufnr)
  local client = client_of(bufnr) or require("tailora.client").get(bufnr)
  return client and statuses[client.id]
end

---@param fraction any
---@return string
local function percent(fraction)
  return type(fraction) == "number" and (" %d%%"):format(math.floor(100 * fraction + 0.5)) or ""
end

---@param status table<string, any>
---@return string
local function text_of(status)
  local model = type(status.model) == "table" and status.model or {}
  local project = type(status.project) == "table" and status.project or {}
  local texts = {
    ready = "Tailora",
    loading = "Tailora" .. (type(model.progress) == "number" and percent(model.progress) or ": loading"),
    fetching = "Tailora: fetching" .. percent(model.progress),
    training = "Tailora: learning" .. percent(project.progress),
    paused = "Tailora: paused",
    off = "Tailora: off",
    starting = "Tailora: starting",
    error = "Tailora: error",
    model_missing = "Tailora: no model",
  }
  return texts[status.state] or "Tailora"
end

---@param bufnr? integer
---@return string
function M.text(bufnr)
  if require("tailora.supervisor").problem() then
    return "Tailora: error"
  end
  local client = client_of(bufnr)
  if not client then
    return ""
  end
  local status = statuses[client.id]
  if not status or status.state == "error" or status.state == "model_missing" then
    return status and text_of(status) or "Tailora: starting"
  end
  local _, work = next(busy[client.id] or {})
  if work then
    return ("Tailora: %s%s"):format(work.title, percent(work.percentage and work.percentage / 100))
  end
  local here = bufnr and bufnr ~= 0 and bufnr or api.nvim_get_current_buf()
  if status.state ~= "off" and (off_here[here] or not require("tailora.ghost").enabled(here)) then
    return "Tailora: off here"
  end
  return text_of(status)
end

---Why nothing is suggested in the buffer at all, as far as it is known.
---@param bufnr integer
---@return string?
function M.reason(bufnr)
  return off_here[bufnr]
end

---Tells everybody that the status may look different now.
function M.changed()
  vim.schedule(function()
    vim.g.tailora_status = M.text()
    api.nvim_exec_autocmds("User", { pattern = "TailoraStatus", modeline = false })
    vim.cmd.redrawstatus()
  end)
end

---@param client integer
---@param status table<string, any>
function M.set(client, status)
  local before = statuses[client] and statuses[client].state
  statuses[client] = status
  if status.state == "ready" and before ~= "ready" and before ~= nil then
    -- What could not be answered before may be now.
    require("tailora.ghost").look_again(api.nvim_get_current_buf())
  end
  M.changed()
end

---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  require("tailora.server").query(client, "tailora.here", { vim.uri_from_bufnr(bufnr) }, function(answer)
    local reason = answer and answer.reason
    off_here[bufnr] = type(reason) == "string" and reason or nil
    M.changed()
  end)
end

---@param bufnr integer
function M.detach(bufnr)
  off_here[bufnr] = nil
  M.changed()
end

local group = api.nvim_create_augroup("tailora.status", {})

api.nvim_create_autocmd("LspProgress", {
  group = group,
  callback = function(event)
    local client, params = vim.lsp.get_client_by_id(event.data.client_id), event.data.params
    local value = params.value
    -- The model's and learning's progress is in the status already; their titles begin with our name.
    if not client or client.name ~= "tailora" or type(value) ~= "table" then
      return
    end
    busy[client.id] = busy[client.id] or {}
    if value.kind == "end" then
      busy[client.id][params.token] = nil
    elseif value.title and not vim.startswith(value.title, "Tailora") then
      busy[client.id][params.token] = { title = value.title, percentage = value.percentage }
    end
    M.changed()
  end,
})

api.nvim_create_autocmd("BufEnter", {
  group = group,
  callback = function()
    if next(statuses) then
      M.changed()
    end
  end,
})

return M
