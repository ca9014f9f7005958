--- `:Tailora doctor`: what is wrong with this machine and what to do, as `tailora doctor` finds it.
local format = require("tailora.view.format")
local server = require("tailora.server")
local window = require("tailora.view.window")

local M = {}

local SIGNS = { ok = "✓", warning = "!", problem = "✗" }

---@param client vim.lsp.Client
function M.open(client)
  local shown = window.open("Tailora: doctor")
  shown:show({ "looking; this takes some seconds …" })
  server.run(client, "tailora.doctor", {}, function(answer)
    local lines = { answer.message, "" }
    for _, finding in ipairs(answer.findings or {}) do
      lines[#lines + 1] = ("%s %s: %s"):format(SIGNS[finding.level] or "?", finding.check, finding.message)
      local advice = format.get(finding.advice)
      if advice and advice ~= "" then
        lines[#lines + 1] = "    " .. advice
      end
    end
    shown:show(lines)
  end)
end

return M
