// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"golang.org/x/net/http/httpguts"

	"github.com/hexcovery/apikey-operator/test/readings"
)

// envoy does with a request what the connection manager, ext_authz and the router do.
type envoy struct {
	config    *config
	upstream  *upstream
	authority *authority
}

// request is a request on its way through the filters.
type request struct {
	*http.Request
	target string
	header header
	grpc   bool
}

func (e *envoy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r, header: lower(r.Header)}
	q.grpc = isGRPC(q.header)
	if reply := e.admit(q); reply != nil {
		e.reply(w, q, *reply)
		return
	}
	// A request without a route is not asked about; here there is always one.
	route := e.route(q)
	verdict := e.authority.check(q)
	if verdict.refusal != nil {
		e.reply(w, q, *verdict.refusal)
		return
	}
	verdict.apply(q.header)
	if e.config.authz.GetClearRouteCache() && len(verdict.set)+len(verdict.remove) > 0 {
		route = e.route(q)
	}
	e.routeTo(w, q, route)
}

// reply goes through the filters on its way back, as any answer does:
// FilterManager::sendLocalReplyViaFilterChain, source/common/http/filter_manager.cc.
func (e *envoy) reply(w http.ResponseWriter, q *request, l localReply) {
	l.header.remove(e.config.late)
	l.write(w, e.config.manager.GetLocalReplyConfig(), q.grpc)
}

// admit is what comes before the filters: ConnectionManagerImpl::ActiveStream::
// decodeHeaders, source/common/http/conn_manager_impl.cc, and the codecs.
func (e *envoy) admit(q *request) *localReply {
	manager := e.config.manager
	if q.ProtoMajor == 1 && q.ProtoMinor == 0 && !manager.GetHttpProtocolOptions().GetAcceptHttp_10() {
		return &localReply{status: http.StatusUpgradeRequired}
	}
	if manager.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction() == corev3.HttpProtocolOptions_REJECT_REQUEST &&
		slices.ContainsFunc(q.header.names(), func(name string) bool { return strings.Contains(name, "_") }) {
		return &localReply{status: http.StatusBadRequest}
	}
	var host string
	if q.target, host = readings.OriginForm(q.RequestURI); host != "" {
		q.Host = host
	}
	if q.Method == http.MethodConnect || !strings.HasPrefix(q.target, "/") {
		return &localReply{status: http.StatusNotFound}
	}
	var ok bool
	if q.target, ok = paths(manager).Target(q.target); !ok {
		return &localReply{status: http.StatusBadRequest}
	}
	e.sanitize(q)
	upgrade := q.header.get("upgrade")
	removeHopByHop(q.header)
	// The codec takes these, and what it is told to ignore, for plain requests.
	if upgrade == "" || strings.EqualFold(upgrade, "h2c") || matches(manager.GetHttpProtocolOptions().GetIgnoreHttp_11Upgrade(), upgrade) {
		return nil
	}
	// Without upgrade_configs createUpgradeFilterChain refuses.
	if !slices.ContainsFunc(manager.GetUpgradeConfigs(), func(c *hcmv3.HttpConnectionManager_UpgradeConfig) bool {
		return strings.EqualFold(c.GetUpgradeType(), upgrade)
	}) {
		return &localReply{status: http.StatusForbidden}
	}
	q.header["connection"], q.header["upgrade"] = []string{"Upgrade"}, []string{upgrade}
	return nil
}

// hopByHop are the headers of one connection: ConnectionManagerUtility::
// mutateRequestHeaders, source/common/http/conn_manager_utility.cc.
var hopByHop = []string{"connection", "upgrade", "keep-alive", "proxy-connection", "transfer-encoding", "http2-settings", "trailer", "content-length"}

func removeHopByHop(h header) {
	// Envoy's codec of HTTP/1 removes TE unless it is for trailers, which gRPC needs.
	trailers := httpguts.HeaderValuesContainsToken(h["te"], "trailers")
	delete(h, "te")
	if trailers {
		h["te"] = []string{"trailers"}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// isGRPC is Grpc::Common::hasGrpcContentType, source/common/grpc/common.cc.
func isGRPC(h header) bool {
	rest, ok := strings.CutPrefix(h.get("content-type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

func paths(manager *hcmv3.HttpConnectionManager) readings.Envoy {
	return readings.Envoy{
		Normalize:            manager.GetNormalizePath().GetValue(),
		MergeSlashes:         manager.GetMergeSlashes(),
		RejectEscapedSlashes: manager.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_REJECT_REQUEST,
	}
}

// sanitize is ConnectionManagerUtility::mutateRequestHeaders,
// source/common/http/conn_manager_utility.cc, and the early mutations.
func (e *envoy) sanitize(q *request) {
	port := 0
	if address, ok := q.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		port = address.Port
	}
	q.Host = normalizeHost(e.config.manager, q.Host, port)
	q.header.remove(e.config.early)
	// Of a client from outside (use_remote_address): cleanInternalHeaders.
	maps.DeleteFunc(q.header, func(name string, _ []string) bool { return strings.HasPrefix(name, "x-envoy-") })
	if e.config.manager.GetUseRemoteAddress().GetValue() {
		q.header["x-forwarded-for"] = []string{strings.Join(append(q.header["x-forwarded-for"], q.client()), ",")}
		q.header["x-forwarded-proto"] = []string{"http"}
	}
}

// normalizeHost is strip_trailing_host_dot and strip_matching_host_port:
// ConnectionManagerUtility::maybeNormalizeHost.
func normalizeHost(manager *hcmv3.HttpConnectionManager, host string, port int) string {
	if manager.GetStripTrailingHostDot() {
		name, rest, hasPort := strings.Cut(host, ":")
		host = strings.TrimSuffix(name, ".")
		if hasPort {
			host += ":" + rest
		}
	}
	if manager.GetStripMatchingHostPort() {
		host = strings.TrimSuffix(host, ":"+strconv.Itoa(port))
	}
	return host
}

func (q *request) client() string {
	host, _, _ := net.SplitHostPort(q.RemoteAddr)
	return host
}

// route is the first that matches: source/common/router/config_impl.cc.
func (e *envoy) route(q *request) *routev3.Route {
	for _, route := range e.config.host.GetRoutes() {
		// A header that is not there matches nothing, also not inverted; several of one name
		// are one, with commas: source/common/http/header_utility.h.
		missing := func(m *routev3.HeaderMatcher) bool {
			values := q.header[strings.ToLower(m.GetName())]
			if m.GetName() == ":authority" {
				values = []string{q.Host}
			}
			return values == nil || matchesOne(m.GetStringMatch(), strings.Join(values, ",")) == m.GetInvertMatch()
		}
		if !slices.ContainsFunc(route.GetMatch().GetHeaders(), missing) {
			return route
		}
	}
	return nil
}

// routeTo is the router: source/common/router/router.cc. Headers that are to be removed
// go first (finalizeRequestHeaders), long after ext_authz has set its own.
func (e *envoy) routeTo(w http.ResponseWriter, q *request, route *routev3.Route) {
	if route == nil {
		e.reply(w, q, localReply{status: http.StatusNotFound})
		return
	}
	if direct := route.GetDirectResponse(); direct != nil {
		h := header{}
		e.finalizeResponse(h, route)
		e.reply(w, q, localReply{status: int(direct.GetStatus()), body: direct.GetBody().GetInlineString(), header: h})
		return
	}
	for _, name := range slices.Concat(route.GetRequestHeadersToRemove(), e.config.host.GetRequestHeadersToRemove()) {
		delete(q.header, strings.ToLower(name))
	}
	for _, option := range e.config.host.GetRequestHeadersToAdd() {
		// The one command of source/common/formatter that a replay knows.
		q.header.option(option, strings.ReplaceAll(option.GetHeader().GetValue(), "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", q.client()))
	}
	proxy := e.upstream.to(q)
	proxy.ModifyResponse = func(response *http.Response) error {
		h := lower(response.Header)
		e.finalizeResponse(h, route)
		h.remove(e.config.late)
		response.Header = http.Header{}
		h.into(response.Header)
		return nil
	}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) {
		e.reply(w, q, localReply{status: http.StatusServiceUnavailable, flag: "UF", body: "upstream connect error or disconnect/reset before headers"})
	}
	proxy.ServeHTTP(w, q.Request)
}

// finalizeResponse adds the headers of the route, then those of the virtual host.
func (e *envoy) finalizeResponse(h header, route *routev3.Route) {
	h.apply(route.GetResponseHeadersToAdd())
	h.apply(e.config.host.GetResponseHeadersToAdd())
}
