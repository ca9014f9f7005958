--- Code actions with everyone's diagnostics, and a word where finding one takes long.
---
--- |vim.lsp.buf.code_action()| gives each server its own diagnostics only, and ours has none: it repairs what others
--- find. So requests of our client, and of no other, get those of the buffer on the lines that they are about.
local message = require("tailora.message")

local M = {}

local PATIENCE_MS = 1500

---@param bufnr integer
---@param row integer
---@param col integer (bytes)
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return lsp.Position
local function position(bufnr, row, col, encoding)
  local line = vim.api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ""
  return { line = row, character = vim.str_utfindex(line, encoding, math.min(col, #line), false) }
end

---A diagnostic as the protocol has it. What its server said of it is kept, but for the range: that is in its server's
---units, and maybe of an older text.
---@param diagnostic vim.Diagnostic
---@param bufnr integer
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return lsp.Diagnostic
local function to_lsp(diagnostic, bufnr, encoding)
  local told = vim.tbl_get(diagnostic, "user_data", "lsp") or {}
  return vim.tbl_extend(
    "force",
    {
      message = diagnostic.message,
      severity = diagnostic.severity,
      source = diagnostic.source,
      code = diagnostic.code,
    },
    told,
    {
      range = {
        start = position(bufnr, diagnostic.lnum, diagnostic.col, encoding),
        ["end"] = position(
          bufnr,
          diagnostic.end_lnum or diagnostic.lnum,
          diagnostic.end_col or diagnostic.col,
          encoding
        ),
      },
    }
  )
end

---@param one lsp.Diagnostic
---@param other lsp.Diagnostic
---@return boolean
local function same(one, other)
  return one.message == other.message
    and vim.deep_equal(one.range, other.range)
    and (one.source or "") == (other.source or "")
end

---@param params lsp.CodeActionParams
---@param bufnr integer
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return lsp.CodeActionParams
local function with_all(params, bufnr, encoding)
  local first, last = params.range.start.line, params.range["end"].line
  local all = vim.list_slice(params.context.diagnostics or {})
  for _, diagnostic in ipairs(vim.diagnostic.get(bufnr)) do
    if diagnostic.lnum <= last and (diagnostic.end_lnum or diagnostic.lnum) >= first then
      local told = to_lsp(diagnostic, bufnr, encoding)
      if not vim.iter(all):any(function(other)
        return same(told, other)
      end) then
        all[#all + 1] = told
      end
    end
  end
  local result = vim.deepcopy(params)
  result.context.diagnostics = all
  return result
end

---@param handler lsp.Handler
---@return lsp.Handler
local function patiently(handler)
  local timer = vim.defer_fn(function()
    message.show("looking for an edit that holds; this takes a while")
  end, PATIENCE_MS)
  return function(...)
    if not timer:is_closing() then
      timer:stop()
      timer:close()
    end
    return handler(...)
  end
end

---Wraps the client's `request`.
---@param client vim.lsp.Client
function M.complete_code_actions(client)
  local request = client.request
  ---@diagnostic disable-next-line: duplicate-set-field
  client.request = function(self, method, params, handler, bufnr)
    if self == client and method == "textDocument/codeAction" and params and params.context then
      local buffer = (bufnr or 0) ~= 0 and bufnr or vim.api.nvim_get_current_buf()
      params = with_all(params --[[@as lsp.CodeActionParams]], buffer, client.offset_encoding)
    elseif self == client and method == "codeAction/resolve" and handler then
      handler = patiently(handler)
    end
    return request(self, method, params, handler, bufnr)
  end
end

return M
