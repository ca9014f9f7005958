--- Options: the defaults, and what the user put over them.
---
--- Knows nothing of what the options do. Invariant: there are always usable options; an unknown key or a bad value is
--- named in one warning, and the default stays in its place.
local M = {}

---@class tailora.Keys
---@field accept? string|string[]|false
---@field accept_word? string|string[]|false
---@field accept_line? string|string[]|false
---@field next? string|string[]|false
---@field prev? string|string[]|false
---@field dismiss? string|string[]|false
---@field trigger? string|string[]|false

---@class tailora.GhostText
---@field enabled? boolean
---@field auto_trigger? boolean
---@field hl_group? string

---@alias tailora.Trust boolean|string[]|fun(root: string): boolean

---What |tailora.setup()| takes; everything may be left out.
---@class tailora.Config
---@field cmd? string[]
---@field filetypes? string[]
---@field settings? table<string, any>
---@field trusted? tailora.Trust
---@field enabled? fun(bufnr: integer): boolean
---@field filetypes_off? string[]
---@field ghost_text? tailora.GhostText
---@field keys? tailora.Keys
---@field code_lens? boolean

---The same with the defaults filled in.
---@class tailora.Options
---@field cmd? string[]
---@field filetypes string[]
---@field settings table<string, any>
---@field trusted? tailora.Trust
---@field enabled? fun(bufnr: integer): boolean
---@field filetypes_off string[]
---@field ghost_text { enabled: boolean, auto_trigger: boolean, hl_group: string }
---@field keys table<string, string|string[]|false>
---@field code_lens boolean

---@type tailora.Options
M.defaults = {
  -- How the language server is started, such as { "/opt/venv/bin/tailora", "lsp" }. nil: `tailora lsp`, found on $PATH.
  cmd = nil,

  -- Filetypes of the buffers that it is started for.
  filetypes = {
    "python",
    "javascript",
    "javascriptreact",
    "typescript",
    "typescriptreact",
    "go",
    "rust",
    "java",
    "c",
    "cpp",
    "sh",
  },

  -- The server's settings, nested as in config.toml: { completion = { max_lines = 6 } }. Only what is set here is sent,
  -- so everything else stays as your config.toml and the repository's tailora.toml have it.
  settings = {},

  -- Which folders are trusted. In a trusted folder the repository is learned, and tests may run if you allow it.
  -- true, false, a list of folders (what lies in them is trusted, too), or a function of the root folder.
  -- nil: what your config.toml says, which is no. `:Tailora trust` trusts a folder for the session.
  trusted = nil,

  -- Called with a buffer; where it returns false there is no ghost text. `vim.b.tailora_enabled` goes before it.
  enabled = nil,

  -- Filetypes without ghost text.
  filetypes_off = {},

  ghost_text = {
    -- false: the plugin draws nothing and leaves inline completion to Neovim 0.12's own, if you enable that.
    enabled = true,
    -- Whether suggestions come as you type. false: only with the trigger key.
    auto_trigger = true,
    -- How they look.
    hl_group = "TailoraSuggestion",
  },

  -- Insert mode keys: one, a list, or false for none. Without ghost text each does what it did before.
  keys = {
    accept = "<Tab>",
    accept_word = "<M-Right>", -- <C-Right> moves by words in insert mode, and goes on doing so
    accept_line = { "<M-Down>", "<M-l>" },
    next = "<M-]>",
    prev = "<M-[>",
    dismiss = { "<C-]>", "<C-e>" },
    trigger = "<M-\\>",
  },

  -- "Repair with Tailora" above tests, where repair.run_tests is on and the folder is trusted.
  code_lens = true,
}

-- The types that a value may have. A table of tables says the same of nested options.
local LIST, KEY = { "string[]" }, { "string", "string[]", "false" }
local TYPES = {
  cmd = LIST,
  filetypes = LIST,
  settings = { "table" },
  trusted = { "boolean", "string[]", "function" },
  enabled = { "function" },
  filetypes_off = LIST,
  ghost_text = { nested = { enabled = { "boolean" }, auto_trigger = { "boolean" }, hl_group = { "string" } } },
  keys = {
    nested = {
      accept = KEY,
      accept_word = KEY,
      accept_line = KEY,
      next = KEY,
      prev = KEY,
      dismiss = KEY,
      trigger = KEY,
    },
  },
  code_lens = { "boolean" },
}

---@param value any
---@param kinds string[]
---@return boolean
local function fits(value, kinds)
  for _, kind in ipairs(kinds) do
    if kind == "string[]" then
      if
        type(value) == "table"
        and vim.islist(value)
        and vim.iter(value):all(function(each)
          return type(each) == "string"
        end)
      then
        return true
      end
    elseif kind == "false" and value == false or type(value) == kind then
      return true
    end
  end
  return false
end

---@param defaults table<string, any>
---@param given table<string, any>
---@param types table<string, any>
---@param prefix string
---@param problems string[]
---@return table<string, any>
local function merge(defaults, given, types, prefix, problems)
  local result = vim.deepcopy(defaults)
  for key, value in vim.spairs(given) do
    local name, expected = prefix .. tostring(key), types[key]
    if expected == nil then
      problems[#problems + 1] = ("there is no option %s"):format(name)
    elseif expected.nested then
      if type(value) == "table" then
        result[key] = merge(defaults[key], value, expected.nested, name .. ".", problems)
      else
        problems[#problems + 1] = ("%s is a table, not %s"):format(name, vim.inspect(value))
      end
    elseif fits(value, expected) then
      result[key] = vim.deepcopy(value)
    else
      local wanted = table.concat(expected, " or ")
      problems[#problems + 1] = ("%s is a %s, not %s"):format(name, wanted, vim.inspect(value))
    end
  end
  return result
end

---@type tailora.Options
M.options = vim.deepcopy(M.defaults)

---Takes `given` over the defaults, in place of what was set before.
---@param given? tailora.Config
---@return string[] problems what could not be used, for a person
function M.set(given)
  local problems = {} ---@type string[]
  if given ~= nil and type(given) ~= "table" then
    problems[1] = ("setup() takes a table, not %s"):format(vim.inspect(given))
    given = nil
  end
  M.options = merge(M.defaults, given or {}, TYPES, "", problems) --[[@as tailora.Options]]
  return problems
end

return M
