// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package replay

import (
	"cmp"
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http/httpguts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hexcovery/apikey-operator/test/readings"
)

// envoy does with a request what the connection manager, ext_authz and the router do.
type envoy struct {
	*config
	options Options
	// grpc asks over gRPC, and http over HTTP. That is no http.Client: it follows no redirect.
	grpc authv3.AuthorizationClient
	http *http.Transport
	// upstream is HTTP/2 for what came by HTTP/2, as use_downstream_protocol_config has it.
	upstream map[int]*http.Transport
}

// newEnvoy asks, until ctx is done, and serves what the connection manager says.
func newEnvoy(ctx context.Context, manager *hcmv3.HttpConnectionManager, options Options) (*envoy, error) {
	config, err := newConfig(manager)
	if err != nil {
		return nil, err
	}
	auth, err := grpc.NewClient(options.AuthServer, grpc.WithTransportCredentials(insecure.NewCredentials()), eager)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = auth.Close() })
	e := &envoy{
		config: config, options: options,
		grpc: authv3.NewAuthorizationClient(auth), http: transport((*http.Protocols).SetHTTP1),
		upstream: map[int]*http.Transport{1: transport((*http.Protocols).SetHTTP1), 2: transport((*http.Protocols).SetUnencryptedHTTP2)},
	}
	e.http.DisableKeepAlives = true
	return e, nil
}

// eager has a connection that broke be made anew at once, as Envoy does it for each
// question that finds none.
var eager = grpc.WithConnectParams(grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: time.Millisecond, Multiplier: 1, MaxDelay: time.Millisecond},
	MinConnectTimeout: time.Second,
})

const dialTimeout = 5 * time.Second

// transport speaks one protocol.
func transport(speak func(*http.Protocols, bool)) *http.Transport {
	protocols := new(http.Protocols)
	speak(protocols, true)
	return &http.Transport{Protocols: protocols, DisableCompression: true, DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext}
}

// request is a request on its way through the filters. RequestURI and Header are what has
// become of them so far.
type request struct {
	*http.Request
	grpc bool
}

func (e *envoy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{Request: r.Clone(r.Context()), grpc: isGRPC(r.Header)}
	if reply := e.admit(q); reply != nil {
		e.reply(w, q, *reply)
		return
	}
	// A request without a route is not asked about; here there is always one.
	route := e.route(q)
	check := e.checkHTTP
	if e.authz.GetGrpcService() != nil {
		check = e.checkGRPC
	}
	verdict := check(q)
	if verdict.refusal != nil {
		e.reply(w, q, *verdict.refusal)
		return
	}
	// The OK case of Filter::onComplete, source/extensions/filters/http/ext_authz/ext_authz.cc:
	// nothing removes a pseudo header or Host, which are not among the headers here.
	apply(q.Header, verdict.set)
	for _, name := range verdict.remove {
		q.Header.Del(name)
	}
	if e.authz.GetClearRouteCache() && len(verdict.set)+len(verdict.remove) > 0 {
		route = e.route(q)
	}
	e.routeTo(w, q, route)
}

// reply goes through the filters on its way back, as any answer does:
// FilterManager::sendLocalReplyViaFilterChain, source/common/http/filter_manager.cc.
func (e *envoy) reply(w http.ResponseWriter, q *request, l localReply) {
	remove(l.header, e.late)
	l.write(w, e.manager.GetLocalReplyConfig(), q.grpc)
}

// admit is what comes before the filters: ConnectionManagerImpl::ActiveStream::
// decodeHeaders, source/common/http/conn_manager_impl.cc, and the codecs.
func (e *envoy) admit(q *request) *localReply {
	manager := e.manager
	if q.ProtoMajor == 1 && q.ProtoMinor == 0 && !manager.GetHttpProtocolOptions().GetAcceptHttp_10() {
		return &localReply{status: http.StatusUpgradeRequired}
	}
	if manager.GetCommonHttpProtocolOptions().GetHeadersWithUnderscoresAction() == corev3.HttpProtocolOptions_REJECT_REQUEST &&
		slices.ContainsFunc(slices.Collect(maps.Keys(q.Header)), func(name string) bool { return strings.Contains(name, "_") }) {
		return &localReply{status: http.StatusBadRequest}
	}
	target, host := readings.OriginForm(q.RequestURI)
	q.Host = cmp.Or(host, q.Host)
	if q.Method == http.MethodConnect || !strings.HasPrefix(target, "/") {
		return &localReply{status: http.StatusNotFound}
	}
	reading, ok := readings.Envoy{
		Normalize:            manager.GetNormalizePath().GetValue(),
		MergeSlashes:         manager.GetMergeSlashes(),
		RejectEscapedSlashes: manager.GetPathWithEscapedSlashesAction() == hcmv3.HttpConnectionManager_REJECT_REQUEST,
	}.Target(target)
	if !ok {
		return &localReply{status: http.StatusBadRequest}
	}
	q.RequestURI = reading
	e.sanitize(q)
	upgrade := q.Header.Get("Upgrade")
	removeHopByHop(q.Header)
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
	q.Header.Set("Connection", "Upgrade")
	q.Header.Set("Upgrade", upgrade)
	return nil
}

// hopByHop are the headers of one connection: ConnectionManagerUtility::
// mutateRequestHeaders, source/common/http/conn_manager_utility.cc.
var hopByHop = []string{"Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Http2-Settings", "Trailer", "Content-Length", "Te"}

func removeHopByHop(h http.Header) {
	// Envoy's codec of HTTP/1 removes TE unless it is for trailers, which gRPC needs.
	trailers := httpguts.HeaderValuesContainsToken(h["Te"], "trailers")
	for _, name := range hopByHop {
		h.Del(name)
	}
	if trailers {
		h.Set("Te", "trailers")
	}
}

// isGRPC is Grpc::Common::hasGrpcContentType, source/common/grpc/common.cc.
func isGRPC(h http.Header) bool {
	rest, ok := strings.CutPrefix(h.Get("Content-Type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// sanitize is ConnectionManagerUtility::mutateRequestHeaders,
// source/common/http/conn_manager_utility.cc, and the early mutations.
func (e *envoy) sanitize(q *request) {
	port := 0
	if address, ok := q.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		port = address.Port
	}
	q.Host = normalizeHost(e.manager, q.Host, port)
	remove(q.Header, e.early)
	// Of a client from outside (use_remote_address): cleanInternalHeaders.
	maps.DeleteFunc(q.Header, func(name string, _ []string) bool { return strings.HasPrefix(name, "X-Envoy-") })
	if e.manager.GetUseRemoteAddress().GetValue() {
		q.Header.Set("X-Forwarded-For", strings.Join(append(q.Header["X-Forwarded-For"], q.client()), ","))
		q.Header.Set("X-Forwarded-Proto", "http")
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
	for _, route := range e.host.GetRoutes() {
		// A header that is not there matches nothing, also not inverted; several of one name
		// are one, with commas: source/common/http/header_utility.h.
		missing := func(m *routev3.HeaderMatcher) bool {
			values := q.Header[http.CanonicalHeaderKey(m.GetName())]
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
		h := http.Header{}
		e.finalizeResponse(h, route)
		e.reply(w, q, localReply{status: int(direct.GetStatus()), body: direct.GetBody().GetInlineString(), header: h})
		return
	}
	for _, name := range slices.Concat(route.GetRequestHeadersToRemove(), e.host.GetRequestHeadersToRemove()) {
		q.Header.Del(name)
	}
	// The one command of source/common/formatter that a replay knows.
	apply(q.Header, e.host.GetRequestHeadersToAdd(), "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%", q.client())
	proxy := &httputil.ReverseProxy{
		Transport: e.upstream[q.ProtoMajor], FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		// The target goes on byte for byte, and so do the headers, but without trailers, which
		// Envoy's codec of HTTP/1 drops.
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL = &url.URL{Scheme: "http", Host: e.options.Upstream, Opaque: q.RequestURI}
			r.Out.Host, r.Out.Header, r.Out.Trailer = q.Host, q.Header.Clone(), nil
		},
		ModifyResponse: func(response *http.Response) error {
			e.finalizeResponse(response.Header, route)
			remove(response.Header, e.late)
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			e.reply(w, q, localReply{status: http.StatusServiceUnavailable, flag: "UF", body: "upstream connect error or disconnect/reset before headers"})
		},
	}
	proxy.ServeHTTP(w, q.Request)
}

// finalizeResponse adds the headers of the route, then those of the virtual host.
func (e *envoy) finalizeResponse(h http.Header, route *routev3.Route) {
	apply(h, route.GetResponseHeadersToAdd())
	apply(h, e.host.GetResponseHeadersToAdd())
}
