-- What `vim.lsp.enable("tailora")` starts. Neovim merges what you give `vim.lsp.config("tailora", ...)` over it.
return require("tailora.client").config()
