--- Ghost text: asks for suggestions as you type, keeps the one that still fits, and inserts what is accepted.
---
--- This is our own on every Neovim. The one built into 0.12 waits 200 ms before it asks, never cancels a request, and
--- keeps what was typed during its wait when a suggestion is accepted; none of it can be set. So the server's
--- inline completion is hidden from it (client.lua), and there are never two ghost texts.
---
--- Knows nothing of keys. Invariants: nothing is asked but the newest question; what is drawn is what accepting
--- inserts; no more of the buffer is read than the lines of the suggestion.
local config = require("tailora.config")
local draw = require("tailora.draw")
local menu = require("tailora.menu")
local suggestions = require("tailora.suggestion")

local api = vim.api
local METHOD = "textDocument/inlineCompletion"
local INVOKED, AUTOMATIC = 1, 2

local M = {}

---@class tailora.State what goes on in one buffer
---@field client integer
---@field items tailora.Suggestion[]
---@field index integer
---@field shown? string what is drawn
---@field seen? string the text and place that was looked at last
---@field request? integer the request that is under way
---@field ticket integer counts the questions, so that late answers are known
---@field dismissed? integer the text (changedtick) in which nothing more is wanted

---@type table<integer, tailora.State>
local states = {}
local group = api.nvim_create_augroup("tailora.ghost", {})

---@return tailora.Place
local function cursor()
  local at = api.nvim_win_get_cursor(0)
  return { row = at[1] - 1, col = at[2] }
end

---Whether the user wants ghost text in the buffer.
---@param bufnr integer
---@return boolean
function M.enabled(bufnr)
  local here = vim.b[bufnr].tailora_enabled
  if here ~= nil then
    return here == true or here == 1
  end
  local options = config.options
  if not options.ghost_text.enabled or vim.list_contains(options.filetypes_off, vim.bo[bufnr].filetype) then
    return false
  end
  if not options.enabled then
    return true
  end
  local ok, wanted = pcall(options.enabled, bufnr)
  if not ok then
    vim.notify_once(("Tailora: `enabled` in setup() failed: %s"):format(wanted), vim.log.levels.WARN)
  end
  return not ok or wanted ~= false
end

---Whether ghost text may be on the screen at this moment.
---@param bufnr integer
---@return boolean
local function possible(bufnr)
  return bufnr == api.nvim_get_current_buf()
    and api.nvim_get_mode().mode == "i" -- not replacing, not in a submode of completion, not in <C-o>
    and vim.bo[bufnr].modifiable
    and vim.bo[bufnr].buftype == ""
    and vim.fn.reg_recording() == ""
    and vim.fn.reg_executing() == ""
    and vim.fn.getcmdwintype() == ""
    and not menu.visible()
    and M.enabled(bufnr)
end

---@param state tailora.State
local function cancel(state)
  local client, request = vim.lsp.get_client_by_id(state.client), state.request
  state.ticket, state.request = state.ticket + 1, nil
  if client and request and client.requests[request] then
    client:cancel_request(request)
  end
end

---Tells whoever wants to know that other ghost text is on the screen, or none.
local function changed()
  api.nvim_exec_autocmds("User", { pattern = "TailoraSuggestion", modeline = false })
end

---@param bufnr integer
---@param state tailora.State
local function clear(bufnr, state)
  state.items, state.index = {}, 1
  if state.shown then
    state.shown = nil
    draw.clear(bufnr)
    changed()
  end
end

---@param bufnr integer
---@param state tailora.State
local function drop(bufnr, state)
  cancel(state)
  clear(bufnr, state)
end

---What is left of the chosen suggestion at the cursor, and the suggestion.
---@param bufnr integer
---@param state tailora.State
---@return string?
---@return tailora.Suggestion
local function rest_of(bufnr, state)
  local item = state.items[state.index] --[[@as tailora.Suggestion]]
  return item and suggestions.rest(item, bufnr, cursor()), item
end

---Draws the suggestion as far as it is still to be typed; drops it where something else was.
---@param bufnr integer
---@param state tailora.State
local function refresh(bufnr, state)
  local rest, item = rest_of(bufnr, state)
  if not rest then
    return clear(bufnr, state)
  end
  local at = cursor()
  local replaced = item.tail:sub(1, item.over)
  local place = at
  if item.over > 0 and vim.startswith(rest, replaced) then
    -- What stands in the range already is not drawn again.
    rest, place = rest:sub(item.over + 1), { row = at.row, col = at.col + item.over }
  end
  local before = state.shown
  state.shown = rest
  draw.show(bufnr, place, rest, config.options.ghost_text.hl_group)
  if rest ~= before then
    changed()
  end
end

---@param bufnr integer
---@param state tailora.State
---@param at tailora.Place where it was asked
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@param result? lsp.InlineCompletionList|lsp.InlineCompletionItem[]
local function take(bufnr, state, at, encoding, result)
  if not possible(bufnr) then
    return clear(bufnr, state)
  end
  local before = rest_of(bufnr, state)
  local items = {} ---@type tailora.Suggestion[]
  local index = 1
  for _, raw in ipairs(result and (result.items or result) or {}) do
    local item = suggestions.new(bufnr, at, raw, encoding)
    local rest = item and suggestions.rest(item, bufnr, cursor())
    if item and rest then
      items[#items + 1] = item
      if rest == before then
        index = #items
      end
    end
  end
  state.items, state.index = items, index
  refresh(bufnr, state)
end

---@param bufnr integer
---@param state tailora.State
---@param kind integer
local function ask(bufnr, state, kind)
  cancel(state)
  local client = vim.lsp.get_client_by_id(state.client)
  if not client or client:is_stopped() then
    return
  end
  local encoding, ticket, at = client.offset_encoding, state.ticket, cursor()
  local params = vim.lsp.util.make_position_params(0, encoding) --[[@as lsp.InlineCompletionParams]]
  params.context = { triggerKind = kind }
  local _, request = client:request(METHOD, params, function(err, result)
    if state.ticket ~= ticket then
      return
    end
    state.request = nil
    -- After an error, what was typed through so far may stay.
    if not err and api.nvim_buf_is_valid(bufnr) then
      take(bufnr, state, at, encoding, result)
    end
  end, bufnr)
  state.request = request
end

---The text or the cursor may have changed.
---@param bufnr integer
local function look(bufnr)
  local state = states[bufnr]
  if not state then
    return
  end
  if not possible(bufnr) then
    state.seen = nil
    return drop(bufnr, state)
  end
  local tick, at = api.nvim_buf_get_changedtick(bufnr), cursor()
  local seen = ("%d:%d:%d"):format(tick, at.row, at.col)
  if seen == state.seen then
    return -- the second of the events that one key makes
  end
  state.seen = seen
  refresh(bufnr, state)
  if state.dismissed == tick then
    return
  end
  state.dismissed = nil
  if config.options.ghost_text.auto_trigger then
    ask(bufnr, state, AUTOMATIC)
  else
    cancel(state)
  end
end

---@param bufnr integer
local function leave(bufnr)
  local state = states[bufnr]
  if state then
    if state.shown then
      state.dismissed = api.nvim_buf_get_changedtick(bufnr)
    end
    state.seen = nil
    drop(bufnr, state)
  end
end

---Begins in a buffer that the client is attached to.
---@param bufnr integer
---@param client integer
function M.attach(bufnr, client)
  states[bufnr] = { client = client, items = {}, index = 1, ticket = 0 }
  api.nvim_clear_autocmds({ group = group, buffer = bufnr })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = bufnr, callback = callback })
  end
  on({ "InsertEnter", "CursorMovedI", "TextChangedI", "TextChangedP" }, function()
    look(bufnr)
  end)
  on("InsertEnter", function()
    menu.watch(group, function()
      M.look_again(api.nvim_get_current_buf())
    end)
    -- The mode is still the one before.
    vim.schedule(function()
      look(bufnr)
    end)
  end)
  on({ "CompleteDone", "ModeChanged" }, function()
    vim.schedule(function()
      look(bufnr)
    end)
  end)
  on({ "InsertLeave", "BufLeave" }, function()
    leave(bufnr)
  end)
  look(bufnr)
end

---Ends in a buffer.
---@param bufnr integer
function M.detach(bufnr)
  local state = states[bufnr]
  if state then
    drop(bufnr, state)
    states[bufnr] = nil
    api.nvim_clear_autocmds({ group = group, buffer = bufnr })
  end
end

---Something else than the text has changed: a menu, or what the user wants.
---@param bufnr integer
function M.look_again(bufnr)
  if states[bufnr] then
    states[bufnr].seen = nil
    look(bufnr)
  end
end

---The server has more of the suggestion that is shown.
---@param uri string
function M.more(uri)
  local bufnr = api.nvim_get_current_buf()
  local state = states[bufnr]
  if state and state.shown and vim.uri_from_bufnr(bufnr) == uri and possible(bufnr) then
    ask(bufnr, state, AUTOMATIC)
  end
end

---What accepting would insert at this moment, in the current buffer.
---@return string?
function M.visible()
  local bufnr = api.nvim_get_current_buf()
  local state = states[bufnr]
  if state and state.shown and possible(bufnr) then
    return (rest_of(bufnr, state))
  end
end

---Inserts the suggestion, or the first part of it. From a command in insert mode, not from an expression.
---@param part "all"|"word"|"line"
function M.insert(part)
  if not M.visible() then
    return
  end
  local bufnr = api.nvim_get_current_buf()
  local state = states[bufnr]
  local rest, item = rest_of(bufnr, state)
  ---@cast rest string
  local at = cursor()
  -- A suggestion that also replaces what stands behind the cursor is taken whole.
  local piece = item.over > 0 and rest or suggestions.part(rest, part)
  local whole = piece == rest
  local lines = vim.split(piece, "\n", { plain = true })
  cancel(state)
  if whole then
    clear(bufnr, state)
  end
  api.nvim_buf_set_text(bufnr, at.row, at.col, at.row, at.col + item.over, lines)
  local before = #lines == 1 and at.col or 0
  api.nvim_win_set_cursor(0, { at.row + #lines, before + #lines[#lines] })
  refresh(bufnr, state)
  local client = vim.lsp.get_client_by_id(state.client)
  if whole and item.command and client then
    client:request(
      "workspace/executeCommand",
      { command = item.command.command, arguments = item.command.arguments },
      function() end,
      bufnr
    )
  end
end

---Shows another of several suggestions.
---@param step integer
---@return boolean whether there is ghost text
function M.cycle(step)
  local bufnr = api.nvim_get_current_buf()
  if not M.visible() then
    return false
  end
  local state = states[bufnr]
  state.index = (state.index - 1 + step) % #state.items + 1
  refresh(bufnr, state)
  return true
end

---Takes the suggestion away until the text changes.
---@return boolean whether there was one
function M.dismiss()
  if not M.visible() then
    return false
  end
  leave(api.nvim_get_current_buf())
  look(api.nvim_get_current_buf())
  return true
end

---Asks by hand: the server waits for the whole suggestion.
---@return boolean whether it could be asked
function M.trigger()
  local bufnr = api.nvim_get_current_buf()
  local state = states[bufnr]
  if not state or not possible(bufnr) then
    return false
  end
  state.dismissed = nil
  ask(bufnr, state, INVOKED)
  return true
end

return M
