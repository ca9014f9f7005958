--- The code lens "Repair with Tailora", of our server alone: others' lenses are shown if the user wants it.
---
--- Neovim 0.12 keeps lenses up to date by itself, 0.11 asks when told to. |vim.lsp.codelens.run()| runs one.
local config = require("tailora.config")

local M = {}

local METHOD = "textDocument/codeLens"
local group = vim.api.nvim_create_augroup("tailora.code_lens", {})

---For 0.11.
---@param client vim.lsp.Client
---@param bufnr integer
local function ask(client, bufnr)
  if vim.api.nvim_buf_is_loaded(bufnr) and not client:is_stopped() then
    local params = { textDocument = vim.lsp.util.make_text_document_params(bufnr) }
    client:request(METHOD, params, vim.lsp.codelens.on_codelens, bufnr)
  end
end

---@param client vim.lsp.Client
---@param bufnr integer
function M.attach(client, bufnr)
  if not config.options.code_lens or not client:supports_method(METHOD) then
    return
  end
  if vim.lsp.codelens.enable then
    -- Neovim takes the client as attached only after this.
    vim.schedule(function()
      if vim.api.nvim_buf_is_valid(bufnr) and client.attached_buffers[bufnr] then
        vim.lsp.codelens.enable(true, { client_id = client.id, bufnr = bufnr })
      end
    end)
    return
  end
  vim.api.nvim_clear_autocmds({ group = group, buffer = bufnr })
  vim.api.nvim_create_autocmd({ "BufEnter", "InsertLeave", "BufWritePost" }, {
    group = group,
    buffer = bufnr,
    callback = function()
      ask(client, bufnr)
    end,
  })
  ask(client, bufnr)
end

---|lsp-handler| of `workspace/codeLens/refresh`.
---@param err? lsp.ResponseError
---@param result any
---@param context lsp.HandlerContext
---@return any
function M.refresh(err, result, context)
  if vim.lsp.codelens.on_refresh then
    return vim.lsp.codelens.on_refresh(err, result, context)
  end
  local client = vim.lsp.get_client_by_id(context.client_id)
  if client and config.options.code_lens then
    for bufnr in pairs(client.attached_buffers) do
      ask(client, bufnr)
    end
  end
  return vim.NIL
end

return M
