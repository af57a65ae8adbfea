// Copyright 2026 The Hexcovery Authors.
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	metrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	"google.golang.org/grpc"
)

const (
	// MarkHeader tells requests from each other: a client gives each its own.
	MarkHeader = "X-Rig-Mark"
	// AnswerHeader has the upstream answer with this status.
	AnswerHeader = "X-Rig-Answer"
)

// Arrival is a request as it reached the upstream.
type Arrival struct {
	Method string
	// Target is the one on the wire.
	Target string
	Host   string
	Header http.Header
	// Trailer is what came after the body.
	Trailer http.Header
	// Bytes and SHA256 are of the body.
	Bytes  int64
	SHA256 string
	Major  int
}

// Upstream stands for the Hexcovery API: it takes HTTP/1.1, HTTP/2 without TLS, and
// OTLP over gRPC at one address.
type Upstream struct {
	// Address is its host:port.
	Address string

	mu       sync.Mutex
	arrivals map[string][]*Arrival
	grpc     *grpc.Server
}

// StartUpstream serves until the test ends.
func StartUpstream(t testing.TB) *Upstream {
	t.Helper()
	u := &Upstream{arrivals: map[string][]*Arrival{}, grpc: grpc.NewServer()}
	metrics.RegisterMetricsServiceServer(u.grpc, metricsService{})
	listener := Listen(t)
	u.Address = listener.Addr().String()
	server := &http.Server{Handler: u, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { _ = server.Serve(listener); close(done) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return u
}

// Arrivals returns what came with the mark, since it was asked last.
func (u *Upstream) Arrivals(mark string) []*Arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	arrivals := u.arrivals[mark]
	delete(u.arrivals, mark)
	return arrivals
}

// ServeHTTP takes note, and then answers.
func (u *Upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := &Arrival{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: r.Header.Clone(), Major: r.ProtoMajor}
	u.mu.Lock()
	mark := r.Header.Get(MarkHeader)
	u.arrivals[mark] = append(u.arrivals[mark], a)
	u.mu.Unlock()

	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		u.grpc.ServeHTTP(w, r)
		return
	}
	hash := sha256.New()
	n, err := io.Copy(hash, r.Body)
	u.mu.Lock()
	a.Bytes, a.SHA256, a.Trailer = n, hex.EncodeToString(hash.Sum(nil)), r.Trailer.Clone()
	u.mu.Unlock()
	if err != nil {
		return // nobody is there to be answered
	}
	w.Header().Set("Cache-Control", "public, max-age=3600")
	w.Header().Set("WWW-Authenticate", "Upstream")
	status, err := strconv.Atoi(r.Header.Get(AnswerHeader))
	if err != nil {
		status = http.StatusOK
	}
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "upstream says "+strconv.Itoa(status))
}

type metricsService struct {
	metrics.UnimplementedMetricsServiceServer
}

func (metricsService) Export(context.Context, *metrics.ExportMetricsServiceRequest) (*metrics.ExportMetricsServiceResponse, error) {
	return &metrics.ExportMetricsServiceResponse{}, nil
}
