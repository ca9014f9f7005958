--- Insert mode keys, in the buffers that the client is attached to. Without ghost text a key does what it did before.
---
--- Knows what the keys are called and not what they do. What a key did before is, in this order: the buffer's own
--- mapping that was there first, the global mapping (looked up when the key is pressed, so it may come later), the key.
local config = require("tailora.config")

local api = vim.api
local M = {}

---@alias tailora.Action "accept"|"accept_word"|"accept_line"|"next"|"prev"|"dismiss"|"trigger"

---@type tailora.Action[]
M.actions = { "accept", "accept_word", "accept_line", "next", "prev", "dismiss", "trigger" }

---@param action tailora.Action
---@return string[]
function M.of(action)
  local wanted = config.options.keys[action]
  if type(wanted) == "table" then
    return wanted
  end
  return wanted and { wanted } or {}
end

local MARK = "Tailora: "
local BEFORE = "<Plug>(tailora-before)"

---@param keys string as mappings are written
---@return string
local function codes(keys)
  return api.nvim_replace_termcodes(keys, true, true, true)
end

---@param keys string as typed
---@param remap boolean
local function feed(keys, remap)
  api.nvim_feedkeys(keys, remap and "im" or "in", false)
end

---@param mappings table<string, any>[]
---@param lhs string
---@return table<string, any>?
local function find(mappings, lhs)
  local wanted = codes(lhs)
  for _, mapping in ipairs(mappings) do
    if codes(mapping.lhs) == wanted and not vim.startswith(mapping.desc or "", MARK) then
      return mapping
    end
  end
end

---@param lhs string
---@param before? table<string, any> the buffer's own mapping that was there first
local function fall_back(lhs, before)
  local mapping = before or find(api.nvim_get_keymap("i"), lhs)
  local key = codes(lhs)
  if not mapping then
    return feed(key, false)
  end
  local keys = mapping.rhs and mapping.rhs ~= "" and mapping.expr == 0 and mapping.noremap == 0 and codes(mapping.rhs)
  if keys and vim.startswith(keys, key) then
    -- As in Vim, what begins like its own mapping is not mapped again. What is fed last comes first.
    feed(keys:sub(#key + 1), true)
    return feed(key, false)
  end
  -- Under another name, so that Neovim itself does what it says, whatever kind of mapping it is.
  local other = vim.tbl_extend("force", mapping, { lhs = BEFORE, lhsraw = codes(BEFORE), buffer = 0 })
  other.lhsrawalt = nil
  vim.fn.mapset("i", false, other)
  feed(codes(BEFORE), true)
end

---Sets the keys in a buffer, once. They stay: without a client they only do what they did before.
---@param bufnr integer
function M.attach(bufnr)
  if vim.b[bufnr].tailora_keys then
    return
  end
  vim.b[bufnr].tailora_keys = true
  for _, action in ipairs(M.actions) do
    for _, lhs in ipairs(M.of(action)) do
      local before = find(api.nvim_buf_get_keymap(bufnr, "i"), lhs)
      vim.keymap.set("i", lhs, function()
        if not require("tailora")[action]() then
          fall_back(lhs, before)
        end
      end, { buffer = bufnr, desc = MARK .. action:gsub("_", " ") })
    end
  end
end

---Who has a key in the buffer's insert mode, for |:checkhealth|.
---@param bufnr integer
---@param lhs string
---@return "tailora"|"nobody"|string
function M.owner(bufnr, lhs)
  local wanted = codes(lhs)
  for _, mappings in ipairs({ api.nvim_buf_get_keymap(bufnr, "i"), api.nvim_get_keymap("i") }) do
    for _, mapping in ipairs(mappings) do
      if codes(mapping.lhs) == wanted then
        if vim.startswith(mapping.desc or "", MARK) then
          return "tailora"
        end
        return mapping.desc or mapping.rhs or "a function"
      end
    end
  end
  return "nobody"
end

return M
