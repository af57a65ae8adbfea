// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

// Package serve is the auth server's end of the gathering of usage: a listener of its
// own, over TLS, that serves usage to the manager, and the handover at the end.
//
// It promises that the API server authenticates and authorizes each question, and that an
// auth server that stops gracefully waits, for a bounded time, until its usage was
// gathered. It must never keep a request of a client waiting.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/hexcovery/apikey-operator/internal/serving"
	"github.com/hexcovery/apikey-operator/internal/usage"
)

const (
	// DefaultHandOverTimeout is how long an auth server that stops waits for a manager to
	// gather its usage. A leader that was lost is replaced in about that time.
	DefaultHandOverTimeout = 15 * time.Second

	readHeaderTimeout = 5 * time.Second
	exchangeTimeout   = 30 * time.Second
	idleTimeout       = time.Minute
	maxHeaderBytes    = 16 << 10
	// stopTimeout is for the last answer.
	stopTimeout = time.Second
	// maxConnections is for a few managers, with little for strangers. An idle connection
	// makes room.
	maxConnections = 32
)

// Config configures a Server.
type Config struct {
	// Table has what is counted.
	Table *usage.Table
	// Process is the name of this process in its Lease.
	Process string
	// Finish has the Lease say that the counts are final.
	Finish func()

	// Listener is where the manager asks. It is the Server's own from New on.
	Listener net.Listener
	// Certificate comes from NewCertificate.
	Certificate tls.Certificate
	// Filter authorizes; see NewFilter.
	Filter metricsserver.Filter

	// HandOverTimeout is how long HandOver waits at most.
	HandOverTimeout time.Duration
	Clock           clock.Clock
	Log             logr.Logger
	// Connections are the metrics that the listeners of the program share. Required.
	Connections *serving.Metrics
}

// Server serves usage to managers.
type Server struct {
	// Collector has its metrics.
	prometheus.Collector

	config   Config
	listener *serving.Listener
	http     *http.Server
	// asked: there is a manager that gathers.
	asked atomic.Bool
	// finished: no more is counted.
	finished atomic.Bool
	// taken is closed when the manager has everything.
	taken    chan struct{}
	takeOnce sync.Once
	lost     atomic.Int64
}

// New returns a Server that answers once it runs.
func New(config Config) (*Server, error) {
	s := &Server{config: config, taken: make(chan struct{})}
	handler, err := config.Filter(config.Log, http.HandlerFunc(s.answer))
	if err != nil {
		return nil, fmt.Errorf("usage: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+usage.Path, handler)
	s.listener = serving.Limit(config.Listener, "usage", serving.Limits{Total: maxConnections}, config.Clock, config.Connections)
	s.http = &http.Server{
		ConnState:         s.listener.ConnState,
		ConnContext:       s.listener.ConnContext,
		Handler:           mux,
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{config.Certificate}, MinVersion: tls.VersionTLS13},
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       exchangeTimeout,
		WriteTimeout:      exchangeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(config.Log.V(1)), slog.LevelInfo),
	}
	s.Collector = newMetrics(s)
	return s, nil
}

// Run answers until ctx is done.
func (s *Server) Run(ctx context.Context) {
	ended := make(chan struct{})
	var stopping sync.WaitGroup
	stopping.Go(func() {
		select {
		case <-ctx.Done():
		case <-ended:
		}
		// The answer to the last question may still be on its way.
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		_ = s.http.Shutdown(grace)
		_ = s.http.Close()
	})
	err := s.http.ServeTLS(s.listener, "", "")
	if !errors.Is(err, http.ErrServerClosed) {
		s.config.Log.Error(err, "stopped serving usage; requests are still counted")
	}
	close(ended)
	stopping.Wait()
}

// HandOver waits until a manager has gathered the final counts. Call it when the last
// request was answered.
func (s *Server) HandOver(ctx context.Context) {
	if !s.asked.Load() && s.config.Table.Pending() == 0 {
		return // nothing was counted, and no manager has ever asked
	}
	timeout := s.config.Clock.NewTimer(s.config.HandOverTimeout)
	defer timeout.Stop()
	s.finished.Store(true)
	s.config.Finish()
	select {
	case <-s.taken:
		s.config.Log.Info("handed usage over")
		return
	case <-timeout.C():
	case <-ctx.Done():
	}
	lost := s.config.Table.Pending()
	s.lost.Add(lost)
	s.config.Log.Info("could not hand usage over in time: no manager gathered it", "timeout", s.config.HandOverTimeout, "requestsLost", lost)
}
