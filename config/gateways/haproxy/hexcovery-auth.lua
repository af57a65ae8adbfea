-- Asks the auth server about each request; haproxy.cfg says when.
--
-- It lets a request through only if the answer is exactly 200 and holds the whole
-- identity: then txn.hexcovery_allowed is true, and txn.hexcovery_organization, _key_id
-- and _key_name say who it is. Everything else it answers by itself, with what the auth
-- server said if that is a refusal, and otherwise with 503, after which OTLP clients send
-- a batch again.

-- host:port of the listener hexcovery_auth. Without it HAProxy does not start.
local address = os.getenv("HEXCOVERY_ASK") or error("HEXCOVERY_ASK is not set: see haproxy.cfg")

-- Milliseconds; the listener gives up before.
local timeout = 5000

-- Not for the auth server: what belongs to this connection or to the body; cookies; and
-- what the headers below replace, or what other gateways say in their place.
local withheld = {}
for _, name in ipairs({
	"host", "connection", "proxy-connection", "keep-alive", "te", "trailer", "transfer-encoding",
	"upgrade", "http2-settings", "expect", "content-length", "cookie", "accept-encoding",
	"x-forwarded-method", "x-forwarded-uri", "x-original-method", "x-original-uri", "x-original-url",
}) do
	withheld[name] = true
end

local undecided = '{"type":"https://auth.hexcovery.io/problems/undecided","title":"Cannot decide right now","status":503,' ..
	'"detail":"This gateway cannot tell at the moment whether the key is good. Try again shortly.","reason":"undecided"}'

-- The codes of gRPC: UNAUTHENTICATED, PERMISSION_DENIED, and, for all else, UNAVAILABLE.
local codes = { [401] = "16", [403] = "7" }

-- headers returns those of the question. Every value of a header is passed on, or the
-- auth server could not see that there are two keys.
local function headers(txn)
	local all = {}
	for name, values in pairs(txn.http:req_get_headers()) do
		if not withheld[name] then
			local list = {}
			for i = 0, #values do
				list[#list + 1] = values[i]
			end
			all[name] = list
		end
	end
	all["host"] = { "apikey-authserver" }
	all["x-forwarded-method"] = { txn.sf:method() }
	-- As it was sent: neither decoded nor made canonical.
	all["x-forwarded-uri"] = { txn.sf:pathq() }
	return all
end

local function ask(txn)
	local client = core.httpclient()
	return client:get({ url = "http://" .. address .. "/auth/forwarded", headers = headers(txn), timeout = timeout })
end

-- one returns the only value of a header of the answer; nil if there is none, or two.
local function one(answer, name)
	local values = answer.headers and answer.headers[name]
	if values and values[0] and values[0] ~= "" and values[1] == nil then
		return values[0]
	end
	return nil
end

local function isGRPC(txn)
	local kind = txn.sf:req_fhdr("content-type"):lower()
	return txn.sf:req_ver() == "2.0" and (kind == "application/grpc" or kind:find("^application/grpc[+;]") ~= nil)
end

-- refuse answers the client, in its own language.
local function refuse(txn, answer, grpc)
	local status, problem = 503, undecided
	if answer and (answer.status == 401 or answer.status == 403) then
		status, problem = answer.status, answer.body or ""
	end
	local reply = txn:reply()
	reply:add_header("cache-control", "no-store")
	if grpc then
		-- The status is in a header, and that of HTTP is 200.
		reply:set_status(200)
		reply:add_header("content-type", "application/grpc")
		reply:add_header("grpc-status", codes[status] or "14")
		reply:add_header("grpc-message", (problem:gsub("[^\32-\126]", " ")))
		txn:done(reply)
		return
	end
	reply:set_status(status)
	reply:add_header("content-type", "application/problem+json")
	if status == 503 then
		reply:add_header("retry-after", "1")
	elseif one(answer, "www-authenticate") then
		reply:add_header("www-authenticate", one(answer, "www-authenticate"))
	end
	reply:set_body(problem)
	txn:done(reply)
end

core.register_action("hexcovery-auth", { "http-req" }, function(txn)
	txn:set_var("txn.hexcovery_allowed", false)
	local grpc = isGRPC(txn)
	txn:set_var("txn.hexcovery_grpc", grpc)

	local ok, answer = pcall(ask, txn)
	if not ok then
		core.Alert("hexcovery-auth: " .. tostring(answer))
		answer = nil
	end
	if answer and answer.status == 200 then
		local organization, id, name = one(answer, "x-scope-orgid"), one(answer, "x-api-key-id"), one(answer, "x-api-key-name")
		if organization and id and name then
			txn:set_var("txn.hexcovery_organization", organization)
			txn:set_var("txn.hexcovery_key_id", id)
			txn:set_var("txn.hexcovery_key_name", name)
			txn:set_var("txn.hexcovery_allowed", true)
			return
		end
	end
	refuse(txn, answer, grpc)
end)
