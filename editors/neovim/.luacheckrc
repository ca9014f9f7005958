-- luacheck editors/neovim (Debian: lua-check). Types: VIMRUNTIME=$(nvim --clean --headless +'=vim.env.VIMRUNTIME' +q 2>&1)
-- lua-language-server --check editors/neovim, which reads .luarc.json.
std = "luajit"
globals = { "vim" }
max_line_length = 120
