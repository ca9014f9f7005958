-- What is there before anything is started: the command, the <Plug> mappings and the highlight group. Loads no module.
if vim.g.loaded_tailora then
  return
end
vim.g.loaded_tailora = true

if vim.fn.has("nvim-0.11") == 0 then
  vim.schedule(function()
    vim.notify("Tailora needs Neovim 0.11 or newer; it was not started", vim.log.levels.ERROR)
  end)
  return
end

vim.api.nvim_set_hl(0, "TailoraSuggestion", { link = "Comment", default = true })

for _, action in ipairs({ "accept", "accept_word", "accept_line", "next", "prev", "dismiss", "trigger" }) do
  vim.keymap.set("i", ("<Plug>(tailora-%s)"):format((action:gsub("_", "-"))), function()
    require("tailora")[action]()
  end, { desc = "Tailora: " .. action:gsub("_", " ") })
end

vim.api.nvim_create_user_command("Tailora", function(command)
  require("tailora.commands").run(command.fargs)
end, {
  nargs = "*",
  desc = "Tailora: status, learning and adapters",
  complete = function(lead, line)
    return require("tailora.commands").complete(lead, line)
  end,
})
