// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package webhook

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"

	"github.com/hexcovery/apikey-operator/internal/serving"
)

const (
	// DefaultDrainDelay is how long load balancers may take to send no more requests.
	DefaultDrainDelay = 5 * time.Second
	// DefaultShutdownTimeout leaves time to delete the Lease within the 30 s that
	// Kubernetes gives a pod by default.
	DefaultShutdownTimeout = 20 * time.Second
	// DefaultMaxConnections leaves most of the memory that the deployment in config/ gives to
	// what connections hold: a connection by itself takes some 25 KB, or 45 over HTTP/2.
	DefaultMaxConnections = 1024
	// DefaultMaxRequests is what is left of it, at some 230 KB each.
	DefaultMaxRequests = 512
	// DefaultStallTimeout is longer than an agent waits between two tries.
	DefaultStallTimeout = time.Minute
)

// Config configures a Server.
type Config struct {
	// Authenticator knows the keys.
	Authenticator Authenticator
	// Surface says what they reach. If it has a method Run, as a *surface.File has, that
	// runs as long as the Server does.
	Surface Surface
	// Sessions knows dashboard sessions; nil to accept none. It runs while the server
	// does.
	Sessions Sessions
	// OrganizationHeader names the header for the organization's id.
	OrganizationHeader string

	// Usage hands over what was counted when the last request was answered; nil to count
	// nothing.
	Usage Usage

	// Gateways is where gateways ask over HTTP.
	Gateways net.Listener
	// GRPC is where Envoy asks over gRPC; nil for no such service.
	GRPC net.Listener
	// Proxy is where clients send requests for Upstream; nil for no proxy.
	Proxy net.Listener
	// Upstream comes from ParseUpstream.
	Upstream *url.URL
	// UpstreamRoots comes from LoadRoots; nil for the system's.
	UpstreamRoots *x509.CertPool
	// Operations is for probes and metrics, without TLS.
	Operations net.Listener
	// Certificates comes from LoadCertificates; nil to serve without TLS.
	Certificates *certwatcher.CertWatcher

	// MaxConnections is how many connections each listener that decides has at a time; 0
	// for the default.
	MaxConnections int
	// MaxConnectionsPerClient is how many of them the proxy lets one address have; 0
	// for half.
	MaxConnectionsPerClient int
	// MaxRequests is how many requests the proxy has under way that were let in; one
	// organization has at most half of them. 0 is the default.
	MaxRequests int
	// StallTimeout is how long a request through the proxy may make no progress; 0 for
	// the default.
	StallTimeout time.Duration

	// DrainDelay is how long requests are still taken after the server has said
	// that it is not ready.
	DrainDelay time.Duration
	// ShutdownTimeout is how long the requests in flight then have to finish.
	ShutdownTimeout time.Duration

	// Refusals counts refused requests; may be nil.
	Refusals Refusals

	// Clock is the real one, but in tests.
	Clock clock.WithTicker
	// Log never gets what a key could be derived from.
	Log logr.Logger
	// Connections are the metrics that the listeners of the program share. Required.
	Connections *serving.Metrics
	// Gatherer has the metrics that operations serves.
	Gatherer prometheus.Gatherer
}

// Server is the auth server: a listener for gateways, one for those that ask over
// gRPC and one for the proxy, if they are wanted, and one for operations.
type Server struct {
	// Collector has its metrics.
	prometheus.Collector

	config   Config
	draining atomic.Bool
	// serving are the listeners that decide; operations outlives them.
	serving    []*listener
	operations *listener
	// ended is closed when the listeners that decide are to stop.
	ended chan struct{}
}

// New returns a Server that serves once it runs. The listeners are then its own.
func New(config Config) (*Server, error) {
	if (config.Proxy == nil) != (config.Upstream == nil) {
		return nil, errors.New("a proxy needs both a listener and an upstream")
	}
	id, err := newIdentity(config.OrganizationHeader)
	if err != nil {
		return nil, err
	}
	m := newMetrics()
	m.refusals = config.Refusals
	config.MaxConnections = cmp.Or(config.MaxConnections, DefaultMaxConnections)
	config.MaxConnectionsPerClient = cmp.Or(config.MaxConnectionsPerClient, (config.MaxConnections+1)/2)
	config.MaxRequests = cmp.Or(config.MaxRequests, DefaultMaxRequests)
	config.StallTimeout = cmp.Or(config.StallTimeout, DefaultStallTimeout)
	s := &Server{Collector: m, config: config, ended: make(chan struct{})}
	d := &decider{authenticator: config.Authenticator, surface: config.Surface, sessions: config.Sessions}

	// All connections of gateways come from few addresses: none has a share of its own.
	limits := serving.Limits{Total: config.MaxConnections, Memory: unansweredBytes}
	if config.Certificates != nil {
		limits.TLS = tlsConfig(config.Certificates)
	}
	limit := func(l net.Listener, name string, limits serving.Limits) *serving.Listener {
		return serving.Limit(l, name, limits, config.Clock, config.Connections)
	}
	limits.Protocols = []string{http1}
	gateways := newListener("gateways", limit(config.Gateways, "gateways", limits), limits.Protocols,
		s.leaving(handledBy(serving.IgnoreBody(newGateways(d, id, m, config.Clock, config.Log), config.Clock))), config.Log)
	s.serving = append(s.serving, gateways)
	if config.GRPC != nil {
		limits.Protocols = []string{http2}
		s.serving = append(s.serving, s.newExtAuthz(limit(config.GRPC, "grpc", limits), d, id, m))
	}
	if config.Proxy != nil {
		limits.Protocols, limits.PerClient = []string{http2, http1}, config.MaxConnectionsPerClient
		s.serving = append(s.serving, s.newProxyListener(limit(config.Proxy, "proxy", limits), d, id, m))
	}
	s.operations = newListener("operations", limit(config.Operations, "operations", serving.Limits{Total: operationsConnections, Memory: operationsBytes}), []string{http1},
		handledBy(serving.IgnoreBody(operations(s.ready, config.Gatherer), config.Clock)), config.Log)
	return s, nil
}

func (s *Server) newProxyListener(limited *serving.Listener, d *decider, id identity, m *metrics) *listener {
	config := &s.config
	p := newProxy(config.Upstream, newUpstreamTransport(config.Upstream, config.UpstreamRoots), d, id, m, config.Clock, config.Log)
	p.stalls = &serving.Stalls{Timeout: config.StallTimeout, Clock: config.Clock, Metrics: config.Connections}
	p.shares = serving.NewShares(config.MaxRequests, (config.MaxRequests+1)/2)
	l := newListener("proxy", limited, []string{http2, http1}, s.leaving(p.serve), config.Log)
	l.server.HTTP2.MaxReceiveBufferPerConnection, l.server.HTTP2.MaxReceiveBufferPerStream = proxyWindowBytes, proxyWindowBytes
	l.server.ReadTimeout = 0 // what is let in takes its time, and the rest is answered at once
	return l
}

func (s *Server) newExtAuthz(l *serving.Listener, d *decider, id identity, m *metrics) *listener {
	config := &s.config
	service := &extAuthz{
		decider: d, identity: id, protected: id.names(), sanitizer: newHeaderSanitizer(id),
		metrics: m.endpoint(extAuthzEndpoint), clock: config.Clock,
	}
	calls := newChecks(service, &health{ready: s.ready, clock: config.Clock, ended: s.ended}, config.Log)
	grpc := newListener("grpc", l, []string{http2}, s.leaving(calls.serve), config.Log)
	aging(grpc, config.Clock)
	return grpc
}

func (s *Server) ready() (bool, string) {
	switch {
	case s.draining.Load():
		return false, "not ready: draining"
	case !s.config.Authenticator.Ready():
		return false, "not ready: joining the registry, or fenced"
	default:
		return true, "ok"
	}
}

// leaving asks the other end, while the server drains, to make its next connection
// to somebody else. On HTTP/2 net/http turns this into a GOAWAY.
func (s *Server) leaving(answer answerer) answerer {
	return func(w http.ResponseWriter, r *http.Request, request *serving.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		answer(w, r, request)
	}
}

// Run serves until ctx is done, then drains and hands over. When it returns nobody is served any
// more. An error is that of a listener that failed.
func (s *Server) Run(ctx context.Context) error {
	// What runs here ends with the drain, not with ctx.
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()

	failed := make(chan error, len(s.serving)+4)
	var running sync.WaitGroup
	start := func(run func() error) {
		running.Go(func() {
			if err := run(); err != nil {
				failed <- err
			}
		})
	}
	for _, l := range append([]*listener{s.operations}, s.serving...) {
		start(l.serve)
	}
	if follower, ok := s.config.Surface.(interface{ Run(context.Context) error }); ok {
		start(func() error { return follower.Run(background) })
	}
	if certificates := s.config.Certificates; certificates != nil {
		start(func() error { return certificates.Start(background) })
	}
	if sessions := s.config.Sessions; sessions != nil {
		start(func() error { return sessions.Run(background) })
	}

	if usage := s.config.Usage; usage != nil {
		running.Go(func() { usage.Run(background) })
	}

	var err error
	select {
	case <-ctx.Done():
		s.drain()
	case err = <-failed:
		s.draining.Store(true)
	}
	s.shutdown(background)
	stop()
	running.Wait()
	return err
}

// drain lets everybody who sends requests here learn that they should not, while
// they are still answered.
func (s *Server) drain() {
	delay := s.config.Clock.After(s.config.DrainDelay)
	s.draining.Store(true)
	s.config.Log.Info("draining", "delay", s.config.DrainDelay)
	<-delay
}

// shutdown ends the listeners that decide, all at once, hands over what they have
// counted, and ends operations.
func (s *Server) shutdown(ctx context.Context) {
	ending, cancel := context.WithTimeout(ctx, s.config.ShutdownTimeout)
	defer cancel()
	close(s.ended)
	var group sync.WaitGroup
	for _, l := range s.serving {
		group.Go(func() {
			if err := l.shutdown(ending); err != nil {
				s.config.Log.Error(err, "shutdown was not graceful")
			}
		})
	}
	group.Wait()
	if s.config.Usage != nil {
		s.config.Usage.HandOver(ctx)
	}
	_ = s.operations.server.Close() // a scrape may be repeated elsewhere
}

// describe says, for the log, what is served where.
func (s *Server) describe() []any {
	values := []any{"clientMemoryBytes", ClientMemory(s.config.MaxConnections, s.config.MaxRequests), "operations", s.operations.net.Addr().String(), "tls", s.config.Certificates != nil, "sessions", s.config.Sessions != nil}
	for _, l := range s.serving {
		values = append(values, l.name, l.net.Addr().String())
	}
	return values
}
