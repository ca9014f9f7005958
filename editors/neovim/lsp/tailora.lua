-- Neovim 0.11 or newer: put this folder on the runtimepath, then `vim.lsp.enable("tailora")`.
-- A repository is learned only after `trusted` is set to true, here or by `:lua vim.lsp.config("tailora", ...)`.
---@type vim.lsp.Config
return {
  cmd = { "tailora", "lsp" },
  filetypes = {
    "python", "javascript", "javascriptreact", "typescript", "typescriptreact", "go", "rust", "java", "c", "cpp", "sh",
  },
  root_markers = { "tailora.toml", ".git" },
  init_options = { learning = { trusted = false } },
  on_attach = function(client, bufnr)
    if vim.lsp.inline_completion and client:supports_method("textDocument/inlineCompletion") then
      vim.lsp.inline_completion.enable(true, { bufnr = bufnr })
    end
  end,
  handlers = {
    -- For a statusline: `vim.g.tailora_status`.
    ["tailora/status"] = function(_, status)
      vim.g.tailora_status = status.message
    end,
  },
}
