/** A plugin as people write them for Kong: marks requests and answers, and refuses some. */
export const STAMP = {
  name: 'stamp',
  schema: `
local typedefs = require "kong.db.schema.typedefs"

local function is_even(value)
  if value % 2 == 0 then return true end
  return nil, "must be even"
end

return {
  name = "stamp",
  fields = {
    { consumer = typedefs.no_consumer },
    { protocols = typedefs.protocols_http },
    { config = {
        type = "record",
        fields = {
          { header = typedefs.header_name { required = true, default = "X-Stamp" } },
          { text = { type = "string", required = true, len_min = 2, match = "^%a+$" } },
          { times = { type = "integer", default = 2, between = { 0, 100 }, custom_validator = is_even } },
          { mode = { type = "string", default = "mark", one_of = { "mark", "refuse" } } },
          { refusal = { type = "record", fields = { { status = { type = "integer", default = 403 } }, { message = { type = "string" } } } } },
          { paths = { type = "array", elements = typedefs.path, default = {} } },
          { weights = { type = "map", keys = { type = "string" }, values = { type = "number" } } },
        },
        shorthand_fields = {
          { repeat_count = { type = "integer", func = function(value) return { times = value * 2 } end } },
        },
        entity_checks = {
          { conditional = { if_field = "mode", if_match = { eq = "refuse" }, then_field = "text", then_match = { ne = "never" } } },
          { custom_entity_check = { field_sources = { "text", "times" }, fn = function(entity)
              if entity.text == "none" and entity.times ~= 0 then return nil, "nothing cannot be repeated" end
              return true
            end } },
        },
    } },
  },
}`,
  handler: `
local cjson = require "cjson.safe"
local Stamp = { PRIORITY = 815, VERSION = "1.2.0" }
local seen = 0

function Stamp:init_worker() seen = 100 end

function Stamp:access(conf)
  seen = seen + 1
  if conf.mode == "refuse" then
    return kong.response.exit(conf.refusal.status, { message = conf.refusal.message or "no", weights = conf.weights })
  end
  kong.service.request.set_header(conf.header, conf.text:rep(conf.times))
  kong.ctx.plugin.text = conf.text
  kong.ctx.shared.stamp = { by = { conf.text } }
end

function Stamp:header_filter(conf)
  if not kong.ctx.plugin.text then return end
  kong.response.set_header("X-Stamped", kong.ctx.plugin.text)
  kong.response.set_header("X-Seen", seen > 100)
  kong.response.set_header("X-Shared", cjson.encode(kong.ctx.shared.stamp))
end

return Stamp`,
} as const;
