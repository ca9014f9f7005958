--- Whether a completion menu is on the screen: Neovim's own, nvim-cmp's or blink.cmp's. Knows no ghost text.
local M = {}

---@return boolean
function M.visible()
  if vim.fn.pumvisible() == 1 then
    return true
  end
  local cmp = package.loaded["cmp"]
  if type(cmp) == "table" and cmp.visible then
    local ok, visible = pcall(cmp.visible)
    if ok and visible then
      return true
    end
  end
  local blink = package.loaded["blink.cmp"]
  if type(blink) == "table" and blink.is_menu_visible then
    local ok, visible = pcall(blink.is_menu_visible)
    return ok and visible == true
  end
  return false
end

local watched = false

---Calls `changed` whenever a menu opens or closes. Neovim's own has events of its own; nvim-cmp's are found once it is
---loaded, so this may be called again.
---@param group integer
---@param changed fun()
function M.watch(group, changed)
  local later = vim.schedule_wrap(changed)
  vim.api.nvim_clear_autocmds({ group = group, event = "User" })
  vim.api.nvim_create_autocmd("User", {
    group = group,
    pattern = { "BlinkCmpMenuOpen", "BlinkCmpMenuClose" },
    callback = later,
  })
  local cmp = package.loaded["cmp"]
  if not watched and type(cmp) == "table" and cmp.event then
    watched = true
    cmp.event:on("menu_opened", later)
    cmp.event:on("menu_closed", later)
  end
end

return M
