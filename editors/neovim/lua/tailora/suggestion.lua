--- One suggestion: where it belongs, and what of it is left once its beginning was typed.
---
--- Pure but for reading the lines from its place to the cursor, so its cost does not grow with the file. Knows nothing
--- of requests and of the screen. Rows and columns are 0-based, columns in bytes.
local api = vim.api

local M = {}

---@class tailora.Place
---@field row integer
---@field col integer

---@class tailora.Suggestion
---@field row integer where the replaced range begins
---@field col integer
---@field head string what stands before it on its line
---@field tail string what stood behind the cursor
---@field over integer how many bytes of `tail` are replaced
---@field text string all of it, with "\n" between lines
---@field command? lsp.Command

---@param bufnr integer
---@param row integer
---@return string
local function line_of(bufnr, row)
  return api.nvim_buf_get_lines(bufnr, row, row + 1, false)[1] or ""
end

---Makes a suggestion of an item of the server; nil where it does not fit the text around the cursor.
---@param bufnr integer
---@param at tailora.Place the cursor when it was asked for
---@param item lsp.InlineCompletionItem
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return tailora.Suggestion?
function M.new(bufnr, at, item, encoding)
  local inserted = item.insertText --[[@as string|lsp.StringValue]]
  if type(inserted) ~= "string" then
    return nil -- a snippet; we do not say that we take them
  end
  local line = line_of(bufnr, at.row)
  local from, to = at.col, at.col
  local range = item.range
  if range then
    if range.start.line ~= at.row or range["end"].line ~= at.row then
      return nil
    end
    from = vim.str_byteindex(line, encoding, range.start.character, false)
    to = vim.str_byteindex(line, encoding, range["end"].character, false)
  end
  if from > at.col or to < at.col then
    return nil
  end
  return {
    row = at.row,
    col = from,
    head = line:sub(1, from),
    tail = line:sub(at.col + 1),
    over = to - at.col,
    -- Lines of a buffer with 'fileformat' dos have no "\r" either.
    text = (inserted:gsub("\r", "")),
    command = item.command,
  }
end

---What is still to be inserted at `at`; nil where anything else was typed than the suggestion.
---@param suggestion tailora.Suggestion
---@param bufnr integer
---@param at tailora.Place
---@return string?
function M.rest(suggestion, bufnr, at)
  local before = at.row < suggestion.row or (at.row == suggestion.row and at.col < suggestion.col)
  local _, most = suggestion.text:gsub("\n", "\n")
  if before or at.row > suggestion.row + most or at.row >= api.nvim_buf_line_count(bufnr) then
    return nil
  end
  local lines = api.nvim_buf_get_lines(bufnr, suggestion.row, at.row + 1, false)
  local first, last = lines[1] or "", lines[#lines] or ""
  if first:sub(1, suggestion.col) ~= suggestion.head or last:sub(at.col + 1) ~= suggestion.tail then
    return nil
  end
  lines[#lines] = last:sub(1, at.col)
  lines[1] = (lines[1] or ""):sub(suggestion.col + 1)
  local typed = table.concat(lines, "\n")
  if not vim.startswith(suggestion.text, typed) or #typed == #suggestion.text then
    return nil
  end
  return suggestion.text:sub(#typed + 1)
end

---The beginning of `rest` that is accepted: all of it, up to the end of its next word, or of its line.
---@param rest string
---@param part "all"|"word"|"line"
---@return string
function M.part(rest, part)
  if part == "line" then
    return rest:match("^\n*[^\n]+") or rest
  elseif part == "word" then
    return rest:match("^%s*[%w_\128-\255]+") or rest:match("^%s*[^%w%s_\128-\255]+") or rest
  end
  return rest
end

return M
